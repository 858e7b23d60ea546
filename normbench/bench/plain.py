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
    data = task.settings["data"]
    device = torch.device(task.device)
    torch.backends.cudnn.benchmark = True
    torch.manual_seed(0)
    size = data["image_size"]
    fit = [transforms.Resize(size), transforms.CenterCrop(size)]
    if data["fit"] == "squish":
        fit = [transforms.Resize((size, size))]
    grey = [transforms.Grayscale()] if task.channels == 1 else []
    transform = transforms.Compose(
        [*fit, *grey, transforms.ToTensor(), transforms.Normalize(data["mean"], data["std"])]
    )

    files = {split: ImageFolder(f"{task.images}/{split}", transform) for split in ("train", "val")}

    def loader(split: str, **settings: Any) -> DataLoader:
        return DataLoader(
            files[split],
            num_workers=available_cores(),
            pin_memory=device.type == "cuda",
            persistent_workers=True,
            **settings,
        )

    train = loader("train", batch_size=task.batch_size, shuffle=True, drop_last=True)
    val = loader("val", batch_size=128)
    model = task.network(len(files["train"].classes)).to(device)
    optimizer = make_optimizer(task.settings["optimizer"], model.parameters(), lr=0.01)
    dtype = AUTOCAST[task.precision]
    scaler = torch.amp.GradScaler(device.type, enabled=task.precision == "fp16")

    def autocast() -> Any:
        return torch.autocast(device.type, dtype=dtype) if dtype else nullcontext()

    def train_step(images: torch.Tensor, labels: torch.Tensor) -> None:
        images = images.to(device, non_blocking=True)
        labels = labels.to(device, non_blocking=True)
        optimizer.zero_grad()
        with autocast():
            loss = F.cross_entropy(model(images), labels)
        scaler.scale(loss).backward()
        scaler.step(optimizer)
        scaler.update()

    @torch.no_grad()
    def evaluation_step(images: torch.Tensor, labels: torch.Tensor) -> None:
        with autocast():
            logits = model(images.to(device, non_blocking=True))
        (logits.argmax(1) == labels.to(device)).sum().item()

    model.train()
    started, speed = throughput(train, train_step, task.seconds, device)
    model.eval()
    _, evaluation_speed = throughput(val, evaluation_step, task.seconds / 3, device)
    return {
        "startup_seconds": started - task.launched,
        "images_per_second": speed,
        "evaluation_images_per_second": evaluation_speed,
    }


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
