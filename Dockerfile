# Four images: monitor (no TensorFlow), trainer, replay, desk. Built by both BuildKit and the classic builder: no RUN --mount.
#   docker build --target monitor -t sheetbreak-monitor .
ARG PYTHON_VERSION=3.12
FROM python:${PYTHON_VERSION}-slim AS base
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore \
    PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 HOME=/tmp
# A new volume takes over the owner of the directory that it is mounted on, from whichever container comes first.
RUN useradd --uid 10001 --no-create-home --shell /usr/sbin/nologin sheetbreak \
    && mkdir /models /history /desk && chown sheetbreak:sheetbreak /models /history /desk

FROM base AS wheel
WORKDIR /src
# Builds with the setuptools that dev.txt pins, by its hash.
COPY requirements/dev.txt requirements/
RUN awk '/^setuptools==/ {found = 1} found {print; if (!/\\$/) exit}' requirements/dev.txt >setuptools.txt \
    && pip install --no-deps --require-hashes --only-binary :all: -r setuptools.txt
COPY pyproject.toml LICENSE ./
COPY sheetbreak sheetbreak
COPY monitor monitor
COPY replay replay
COPY desk desk
COPY trainer trainer
RUN pip wheel --no-deps --no-build-isolation --wheel-dir /wheels .

FROM base AS monitor-libraries
COPY requirements/monitor.txt /
RUN pip install --no-deps --require-hashes --only-binary :all: -r /monitor.txt

FROM monitor-libraries AS monitor
COPY --from=wheel /wheels /wheels
RUN pip install --no-deps /wheels/*.whl
USER sheetbreak
WORKDIR /tmp
EXPOSE 9464
ENTRYPOINT ["sheetbreak"]
CMD ["monitor", "--help"]

# The monitor's libraries without using its model runtime: one set of layers for both costs no disk.
FROM monitor AS replay
CMD ["replay", "--help"]

FROM base AS desk
COPY requirements/desk.txt /
RUN pip install --no-deps --require-hashes --only-binary :all: -r /desk.txt
COPY --from=wheel /wheels /wheels
RUN pip install --no-deps /wheels/*.whl
USER sheetbreak
WORKDIR /tmp
EXPOSE 8080
ENTRYPOINT ["sheetbreak"]
CMD ["desk", "--help"]

FROM base AS trainer
COPY requirements/trainer.txt /
RUN pip install --no-deps --require-hashes --only-binary :all: -r /trainer.txt
COPY --from=wheel /wheels /wheels
RUN pip install --no-deps /wheels/*.whl
ENV MPLCONFIGDIR=/tmp/matplotlib TF_CPP_MIN_LOG_LEVEL=2 CUDA_VISIBLE_DEVICES=-1
USER sheetbreak
WORKDIR /tmp
ENTRYPOINT ["sheetbreak"]
CMD ["train", "--help"]
