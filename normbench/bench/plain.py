"""The loop that people write: torchvision's dataset and transforms, a DataLoader, an eager step."""

from __future__ import annotations

import time
from contextlib import nullcontext
from typing import Any

import torch
import torch.nn.functional as F
from torch.utils.data import DataLoader
from torchvision import transforms
from torchvision.datasets import ImageFolder

from normbench.bench.measure import Task, contender
from normbench.engine.training import AUTOCAST
from normbench.environment import available_cores
from normbench.parts import make_optimizer

WARM_UP_STEPS = 3


def main(task: Task) -> dict[str, Any]:
    loop = PlainLoop(task, task.batch_size, lr=0.01, seed=0)
    loop.model.train()
    started, speed = throughput(loop.train, loop.train_step, task.seconds, loop.device)
    loop.model.eval()
    _, evaluation = throughput(loop.val, loop.evaluation_step, task.seconds / 3, loop.device)
    return {
        "startup_seconds": started - task.launched,
        "images_per_second": speed,
        "evaluation_images_per_second": evaluation,
    }


class PlainLoop:
    """One run.

    Args:
        task: whose network, data and optimizer to train with.
        batch_size, lr, seed: of the run.

    Attributes:
        device: where it trains.
        train, val: loaders of both splits.
        val_images: how many images the second has.
        model: the network.
    """

    def __init__(self, task: Task, batch_size: int, lr: float, seed: int):
        data, self.device = task.settings["data"], torch.device(task.device)
        torch.backends.cudnn.benchmark = True
        torch.manual_seed(seed)
        size = data["image_size"]
        fit = [transforms.Resize(size), transforms.CenterCrop(size)]
        if data["fit"] == "squish":
            fit = [transforms.Resize((size, size))]
        grey = [transforms.Grayscale()] if task.channels == 1 else []
        transform = transforms.Compose(
            [*fit, *grey, transforms.ToTensor(), transforms.Normalize(data["mean"], data["std"])]
        )
        files = {name: ImageFolder(f"{task.images}/{name}", transform) for name in ("train", "val")}

        def loader(split: str, **settings: Any) -> DataLoader:
            return DataLoader(
                files[split],
                num_workers=available_cores(),
                pin_memory=self.device.type == "cuda",
                persistent_workers=True,
                **settings,
            )

        self.train = loader("train", batch_size=batch_size, shuffle=True, drop_last=True)
        self.val = loader("val", batch_size=128)
        self.val_images = len(files["val"])
        self.model = task.network(len(files["train"].classes)).to(self.device)
        optimizer = task.settings["optimizer"]
        self.optimizer = make_optimizer(optimizer, self.model.parameters(), lr=lr)
        self.dtype = AUTOCAST[task.precision]
        self.scaler = torch.amp.GradScaler(self.device.type, enabled=task.precision == "fp16")

    def autocast(self) -> Any:
        return torch.autocast(self.device.type, dtype=self.dtype) if self.dtype else nullcontext()

    def train_step(self, images: torch.Tensor, labels: torch.Tensor) -> None:
        images = images.to(self.device, non_blocking=True)
        labels = labels.to(self.device, non_blocking=True)
        self.optimizer.zero_grad()
        with self.autocast():
            loss = F.cross_entropy(self.model(images), labels)
        self.scaler.scale(loss).backward()
        self.scaler.step(self.optimizer)
        self.scaler.update()

    @torch.no_grad()
    def evaluation_step(self, images: torch.Tensor, labels: torch.Tensor) -> int:
        """How many answers are right."""
        with self.autocast():
            logits = self.model(images.to(self.device, non_blocking=True))
        return int((logits.argmax(1) == labels.to(self.device)).sum().item())

    def run(self, epochs: int) -> float:
        """Train and evaluate, epoch by epoch; the last accuracy."""
        for _ in range(epochs):
            self.model.train()
            for images, labels in self.train:
                self.train_step(images, labels)
            self.model.eval()
            right = sum(self.evaluation_step(images, labels) for images, labels in self.val)
        return right / self.val_images


def throughput(batches: DataLoader, step: Any, seconds: float, device: torch.device) -> Any:
    """When the first step was done (time.time()), and images a second after a few steps more."""
    first, since, images, steps = 0.0, 0.0, 0, 0
    while True:
        for batch, labels in batches:
            step(batch, labels)
            steps += 1
            if device.type == "cuda" and steps <= WARM_UP_STEPS:
                torch.cuda.synchronize()
            if steps == 1:
                first = time.time()
            if steps < WARM_UP_STEPS:
                continue
            if steps == WARM_UP_STEPS:
                since = time.perf_counter()
                continue
            images += len(labels)
            if time.perf_counter() - since >= seconds:
                if device.type == "cuda":
                    torch.cuda.synchronize()
                return first, images / (time.perf_counter() - since)


if __name__ == "__main__":
    contender(main)
