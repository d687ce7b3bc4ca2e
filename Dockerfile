# The service, as the user `orders`. State is in /var/lib/durable-orders; docker-compose.yml shows a whole installation.
FROM python:3.12.12-slim-bookworm AS build
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
WORKDIR /src
RUN python -m venv /opt/durable-orders /opt/build

COPY requirements requirements
RUN /opt/durable-orders/bin/pip install --require-hashes -r requirements/runtime.txt

# Of the development requirements, only what builds the wheel. pip refuses the list if a package is missing in it.
RUN awk '/^[^ ]/ {keep = $1 ~ /^(hatchling|packaging|pathspec|pluggy|tomlkit|trove-classifiers)==/} keep' \
    requirements/dev.txt > requirements/build.txt \
    && /opt/build/bin/pip install --require-hashes -r requirements/build.txt

COPY . .
RUN /opt/build/bin/pip wheel --no-deps --no-build-isolation --wheel-dir dist . \
    && /opt/durable-orders/bin/pip install --no-deps dist/*.whl


FROM python:3.12.12-slim-bookworm
ENV PATH=/opt/durable-orders/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    DURABLE_ORDERS_HOME=/var/lib/durable-orders
RUN useradd --uid 10001 --user-group --no-create-home --shell /usr/sbin/nologin orders \
    && install --directory --owner orders --group orders --mode 0700 /var/lib/durable-orders
COPY --from=build /opt/durable-orders /opt/durable-orders
USER orders
WORKDIR /var/lib/durable-orders
VOLUME /var/lib/durable-orders

# A halted account, or an order of unknown outcome, is healthy: no restart mends it. `docker inspect` shows it.
HEALTHCHECK --interval=30s --timeout=20s --start-period=60s --retries=3 CMD ["durable-orders", "doctor", "--alive", "--json"]
ENTRYPOINT ["durable-orders"]
CMD ["--help"]
