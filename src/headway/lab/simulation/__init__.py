"""What would a policy have done to this traffic? The scheduler, on virtual time."""
