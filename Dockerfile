FROM python:3.11-slim AS build
WORKDIR /src
COPY . .
RUN pip install --no-cache-dir build==1.6.1 && python -m build --wheel --outdir /dist

FROM python:3.11-slim
COPY requirements.lock /tmp/
COPY --from=build /dist/*.whl /tmp/
RUN pip install --no-cache-dir --require-hashes --no-deps -r /tmp/requirements.lock && pip install --no-cache-dir --no-deps /tmp/*.whl \
 && useradd --create-home yilian && rm /tmp/*.whl
USER yilian
WORKDIR /home/yilian
ENTRYPOINT ["yilian"]
CMD ["serve", "--open"]
