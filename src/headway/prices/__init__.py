"""What work costs: the one owner of prices and of the arithmetic with them."""
