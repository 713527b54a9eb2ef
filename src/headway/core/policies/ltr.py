"""Learning to rank."""

from math import exp2

from headway.core.policies.policy import Policy
from headway.core.request import Request


class Ltr(Policy):
    """By the score of a learned ranker, preemptive; tokens already produced do not count.

    What is known is no matter of ranking: until it is computed, a prompt counts as the work that
    it is, which on small engines is as much as that of the answer. A request that nobody scored
    yet ranks by its estimate, on the same scale. Source of the order: Fu et al., NeurIPS 2024,
    where prompts cost nothing.
    """

    preemptive = True

    def rank(self, request: Request) -> float:
        score = request.score
        tokens = request.estimate.mean if score is None else exp2(score)
        prompt_s = 0.0 if request.output_tokens else self.cost.prefill_work_s(request)
        return prompt_s + self.cost.decode_s_per_token * tokens
