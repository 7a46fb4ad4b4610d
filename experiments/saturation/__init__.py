"""When does attention flow say something? How much of it is only what leaves a token in the first layer.

`python -m experiments.saturation` measures, on trained and on random attention, how many tokens' flows stop at the
finite edges nearest to the token or to the target (F4 of the method guide's facts), how wide the intervals are that
shares can take, how flat the scores are, and what they agree with. From one half of the examples it fits a rule by
which users can tell; on the other half, and on models that the rule has not seen, it checks it.
"""
