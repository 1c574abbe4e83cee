"""The average of a network's weights over the steps of a training."""

import torch

from training.averaged_weights import AveragedWeights


def test_averaged_weights_follow_the_definition():
    model = torch.nn.Linear(2, 1, bias=False)
    average = AveragedWeights(model, decay=0.9)
    expected = model.weight.detach().clone()
    for step in range(50):
        with torch.no_grad():
            model.weight.add_(1.0)
        average.update(model, step)
        decay = min(0.9, (1 + step) / (10 + step))
        expected = decay * expected + (1 - decay) * model.weight.detach()
    torch.testing.assert_close(average.model.weight, expected)
