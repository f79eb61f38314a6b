# The worker and every verb of imsync. Secrets come in at run time (files under /run/secrets), never here.

FROM node:24-bookworm-slim AS build
WORKDIR /app
COPY package.json package-lock.json ./
RUN npm ci --no-audit --no-fund
COPY tsconfig.json tsconfig.build.json tsconfig.cjs.json ./
COPY scripts ./scripts
COPY simulator ./simulator
COPY src ./src
RUN npm run build

FROM node:24-bookworm-slim AS dependencies
WORKDIR /app
COPY package.json package-lock.json ./
RUN npm ci --omit=dev --no-audit --no-fund

FROM node:24-bookworm-slim
# In a container, loopback is the container itself: probes and scrapers come from outside.
ENV NODE_ENV=production IMSYNC_OPS_HOST=0.0.0.0
WORKDIR /app
COPY --from=dependencies /app/node_modules ./node_modules
COPY package.json ./
COPY config ./config
COPY --from=build /app/dist ./dist
# For `docker exec`: the verbs by their name.
RUN ln -s /app/dist/cli.js /usr/local/bin/imsync && chmod 755 dist/cli.js
USER node
EXPOSE 9464
HEALTHCHECK --interval=10s --timeout=5s --start-period=20s --retries=3 \
  CMD ["node", "-e", "fetch(`http://127.0.0.1:${process.env.IMSYNC_OPS_PORT || 9464}/livez`).then((r) => process.exit(r.ok ? 0 : 1), () => process.exit(1))"]
# Exec form: SIGTERM reaches Node, which finishes the calls on the wire.
# A small young generation: shorter pauses, so fewer missed calls, and less memory (docs/decisions/0092). No guesses about
# what lives long: less CPU (0094).
ENTRYPOINT ["node", "--max-semi-space-size=8", "--no-allocation-site-pretenuring", "dist/cli.js"]
CMD ["worker"]
