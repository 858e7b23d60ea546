# normbench in a container; with a CUDA image of PyTorch as its base, on a GPU:
#   docker build -t normbench .
#   docker build -t normbench --build-arg BASE=pytorch/pytorch:2.9.1-cuda13.0-cudnn9-runtime .
#   docker run --rm -it -v "$PWD/results:/runs/results" normbench run experiment=quickstart
ARG BASE=python:3.12-slim
# hadolint ignore=DL3006
FROM ${BASE}

ENV PIP_NO_CACHE_DIR=1 PIP_BREAK_SYSTEM_PACKAGES=1 NORMBENCH_DATA=/data NORMBENCH_CACHE=/data/prepared

COPY pyproject.toml README.md LICENSE /src/
COPY normbench /src/normbench
COPY configs /src/configs
RUN pip install "/src[timm]"

WORKDIR /runs
ENTRYPOINT ["normbench"]
CMD ["--help"]
