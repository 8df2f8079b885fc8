"""Small networks for tests: every kind of structure that discovery must follow."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from onebasin import models, seeding


def build(
    family: str, width: int = 8, shape: tuple[int, int, int] = (1, 8, 8), seed: int = 0, **options: object
) -> nn.Module:
    """An initialised network of one of the project's families."""
    model = models.build(family, width=width, image_shape=shape, classes=10, **options)
    models.initialise(model, seeding.generator("test", family, width, seed))
    return model


def state(model: nn.Module, seed: int = 0) -> dict[str, Tensor]:
    """A random state in which no two units are alike: norm statistics too, scales and variances positive."""
    generator = torch.Generator().manual_seed(seed)
    result = {}
    for key, value in model.state_dict().items():
        if value.is_floating_point():
            noise = torch.randn(value.shape, generator=generator)
            value = value + (0.5 * noise.abs() if key.endswith("running_var") else 0.2 * noise)
        result[key] = value
    return result


class Grouped(nn.Module):
    """Grouped and depthwise convolutions, group norm, and the head after flattening."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 12, 3, padding=1)
        self.norm = nn.GroupNorm(4, 12)
        self.grouped = nn.Conv2d(12, 8, 3, padding=1, groups=4)
        self.depthwise = nn.Conv2d(8, 8, 3, padding=1, groups=8)
        self.point = nn.Conv2d(8, 6, 1)
        self.head = nn.Linear(6 * 4 * 4, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.norm(self.stem(x)))
        x = F.relu6(self.depthwise(F.hardswish(self.grouped(x))))
        return self.head(F.dropout(F.avg_pool2d(self.point(x), 2), 0.5, self.training).flatten(1))


class Residual(nn.Module):
    """A residual stream with a projection, concatenation, instance and batch norm, in-place operations."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 6, 3, padding=1)
        self.first = nn.Conv2d(6, 10, 3, padding=1)
        self.norm = nn.BatchNorm2d(10)
        self.second = nn.Conv2d(10, 6, 3, padding=1)
        self.instance = nn.InstanceNorm2d(6, affine=True, track_running_stats=True)
        self.side = nn.Conv2d(6, 4, 1)
        self.scale = nn.Parameter(torch.ones(6, 1, 1))
        self.head = nn.Linear(10, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        x = x + self.scale * self.instance(self.second(F.relu_(self.norm(self.first(x)))))
        x = torch.cat([x, self.side(x)], dim=1)
        return self.head(F.adaptive_avg_pool2d(x, 1).flatten(1))


class Attention(nn.Module):
    """One transformer block: packed projection, class token, learned positions."""

    def __init__(self) -> None:
        super().__init__()
        self.patch = nn.Conv2d(3, 12, 4, stride=4)
        self.token = nn.Parameter(torch.zeros(1, 1, 12))
        self.position = nn.Parameter(torch.zeros(1, 5, 12))
        self.norm = nn.LayerNorm(12)
        self.attention = nn.MultiheadAttention(12, 3, batch_first=True)
        self.mlp = nn.Sequential(nn.Linear(12, 20), nn.GELU(), nn.Linear(20, 12))
        self.head = nn.Linear(12, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = self.patch(x).flatten(2).transpose(1, 2)
        x = torch.cat([self.token.expand(len(x), -1, -1), x], dim=1) + self.position
        y = self.norm(x)
        x = x + self.attention(y, y, y, need_weights=False)[0]
        return self.head((x + self.mlp(x))[:, 0])


class Recurrent(nn.Module):
    """A recurrent layer, which discovery does not follow."""

    def __init__(self) -> None:
        super().__init__()
        self.cell = nn.GRU(8, 6, batch_first=True)

    def forward(self, x: Tensor) -> Tensor:
        return self.cell(x[:, 0])[1][0]
