"""The loss as a function of a network's parameters, and what it looks like around them.

- batch_loss.py: that function, of one vector, which leaves the network alone
- line.py: along the gradient
- covariate_shift.py: the gradient of each layer before and after the earlier ones were updated
- hessian.py: the ends of its spectrum and its trace

All but the first know vectors and functions of vectors only.
"""
