"""From a large teacher to the weights of a small student: data, labels, losses, training."""
