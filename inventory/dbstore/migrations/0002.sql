-- Tenants, plans, power, pools, maintenance windows, preflights, releases.

INSERT INTO changes (kind, version) VALUES
  ('tenants', 0),
  ('plans', 0),
  ('powers', 0),
  ('pools', 0),
  ('windows', 0),
  ('preflights', 0),
  ('releases', 0);

ALTER TABLE domains ADD COLUMN "tenant" TEXT NOT NULL DEFAULT '';
CREATE INDEX domains_by_tenant ON domains ("tenant", id);

ALTER TABLE people ADD COLUMN "email" TEXT;
CREATE UNIQUE INDEX people_by_email ON people ("email");
ALTER TABLE people ADD COLUMN "external" TEXT;
CREATE UNIQUE INDEX people_by_external ON people ("external");

CREATE TABLE tenants (
  id TEXT PRIMARY KEY,
  version BIGINT NOT NULL,
  "name" TEXT UNIQUE,
  "parent" TEXT NOT NULL,
  doc TEXT NOT NULL,
  secret TEXT NOT NULL
);
CREATE INDEX tenants_by_parent ON tenants ("parent", id);

CREATE TABLE plans (
  id TEXT PRIMARY KEY,
  version BIGINT NOT NULL,
  "name" TEXT UNIQUE,
  "tenant" TEXT NOT NULL,
  doc TEXT NOT NULL,
  secret TEXT NOT NULL
);
CREATE INDEX plans_by_tenant ON plans ("tenant", id);

CREATE TABLE powers (
  id TEXT PRIMARY KEY,
  version BIGINT NOT NULL,
  "server" TEXT UNIQUE,
  doc TEXT NOT NULL,
  secret TEXT NOT NULL
);

CREATE TABLE pools (
  id TEXT PRIMARY KEY,
  version BIGINT NOT NULL,
  "name" TEXT UNIQUE,
  "service" TEXT NOT NULL,
  doc TEXT NOT NULL,
  secret TEXT NOT NULL
);
CREATE INDEX pools_by_service ON pools ("service", id);

CREATE TABLE windows (
  id TEXT PRIMARY KEY,
  version BIGINT NOT NULL,
  "operation" TEXT NOT NULL,
  doc TEXT NOT NULL,
  secret TEXT NOT NULL
);
CREATE INDEX windows_by_operation ON windows ("operation", id);

CREATE TABLE preflights (
  id TEXT PRIMARY KEY,
  version BIGINT NOT NULL,
  "server" TEXT UNIQUE,
  doc TEXT NOT NULL,
  secret TEXT NOT NULL
);

CREATE TABLE releases (
  id TEXT PRIMARY KEY,
  version BIGINT NOT NULL,
  "program" TEXT NOT NULL,
  "sha256" TEXT UNIQUE,
  doc TEXT NOT NULL,
  secret TEXT NOT NULL
);
CREATE INDEX releases_by_program ON releases ("program", id);
