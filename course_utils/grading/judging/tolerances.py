"""How far what we compute may lie from what a submission states, and how much is looked at.

Another machine sums in another order, another precision rounds elsewhere, another version of a
library renders a template with one space more. None of that is the student's fault, and none of it
changes much. Each number has its reason beside it.
"""

# --- Losses -------------------------------------------------------------------------------------

# Relative, of the mean loss of a token. bf16 against fp32 on one adapter: 0.03 % (embedded model,
# 8 records); a GPU against a CPU stays below 1 %. 2 % is room, and still tells another adapter or
# another checkpoint, whose losses lie farther apart.
LOSS = 0.02
# The same where the base model is loaded in 4 bits: the codes' rounding enters every layer.
LOSS_NF4 = 0.05
# Where only a part of the records was scored: this many standard errors of the mean come on top.
ERRORS = 3.0
# A fold that is trained again takes other roundings through every step, and dropout draws anew.
FOLD = 0.10
# Perplexity is exp(loss): stated and stated must agree to the digits that the log prints.
PRINTED = 0.002
# Of a drop in the loss that counts as one: less than this is rounding.
DROP = 0.001

# --- Answers ------------------------------------------------------------------------------------

# A greedy answer takes another word where two are nearly as likely, and goes on from there. So
# scores are compared: two answers agree where their main scores differ by no more than this.
SCORE = 0.1
# Of answers that no score decides (a base model's, or prose): F1 of their words with each other.
# Parted answers of one model to one question share most words; those of two models few.
LIKENESS = 0.5
# Share of answers that must agree for all points: on another machine one in four may part early.
AGREE = 0.75
# Below this share the stored answers are another model's, or somebody's: a person has to look.
OWN = 0.5

# --- How much is looked at ----------------------------------------------------------------------

# Records whose loss is computed with and without the adapter, and of which the training's own log
# is held against ours: means of pairs need few.
SAMPLED = 18
# The same, at most, where these leave a doubt or the log doesn't name the loss of each record; the
# default configuration has 60 validation records.
LOSS_RECORDS = 60
# A sample that misses all lowered losses with this probability says nothing about so few of them.
UNSEEN = 0.05
# Answers a task: of the adapter to the submission's own test records, of the base model to them,
# and of both to hidden records.
ANSWERED, BASELINE, HIDDEN = 4, 2, 6
# Hidden records of a task in all, where the adapter did not win on the first of them: a gain of
# 0.09, which 60 records show beyond doubt, was missed by six.
HIDDEN_IN_DOUBT = 18
# Held-out questions of the bonus that are asked, at most: an interval over 60 is narrow enough.
HELD_OUT = 60
# Questions of week 5 whose answers are asked again, at most.
QUESTIONS = 20
# Tokens that may be trained for one fold: above that a person has to compare.
FOLD_TOKENS = 60_000
