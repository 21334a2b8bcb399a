-- Statements that SQLite and PostgreSQL both understand.

-- changes has the newest version of each kind; the newest of all is the
-- store's index.
CREATE TABLE changes (
  kind TEXT PRIMARY KEY,
  version BIGINT NOT NULL
);
INSERT INTO changes (kind, version) VALUES
  ('servers', 0),
  ('services', 0),
  ('join_tokens', 0),
  ('certificates', 0),
  ('domains', 0),
  ('accounts', 0),
  ('operations', 0),
  ('rules', 0),
  ('contacts', 0),
  ('alerts', 0),
  ('sms', 0),
  ('people', 0),
  ('sessions', 0),
  ('tokens', 0),
  ('audit', 0),
  ('settings', 0);

CREATE TABLE events (
  version BIGINT PRIMARY KEY,
  time BIGINT NOT NULL, -- microseconds since 1970
  kind TEXT NOT NULL,
  verb TEXT NOT NULL,
  record TEXT NOT NULL
);

CREATE TABLE servers (
  id TEXT PRIMARY KEY,
  version BIGINT NOT NULL,
  "name" TEXT UNIQUE,
  "state" TEXT NOT NULL,
  "region" TEXT NOT NULL,
  doc TEXT NOT NULL,
  secret TEXT NOT NULL
);
CREATE INDEX servers_by_state ON servers ("state", id);
CREATE INDEX servers_by_region ON servers ("region", id);

CREATE TABLE services (
  id TEXT PRIMARY KEY,
  version BIGINT NOT NULL,
  "server/name" TEXT UNIQUE,
  "server" TEXT NOT NULL,
  "name" TEXT NOT NULL,
  "kind" TEXT NOT NULL,
  "want" TEXT NOT NULL,
  "state" TEXT NOT NULL,
  doc TEXT NOT NULL,
  secret TEXT NOT NULL
);
CREATE INDEX services_by_server ON services ("server", id);
CREATE INDEX services_by_name ON services ("name", id);
CREATE INDEX services_by_kind ON services ("kind", id);
CREATE INDEX services_by_want ON services ("want", id);
CREATE INDEX services_by_state ON services ("state", id);

CREATE TABLE join_tokens (
  id TEXT PRIMARY KEY,
  version BIGINT NOT NULL,
  "server" TEXT NOT NULL,
  "hash" TEXT UNIQUE,
  doc TEXT NOT NULL,
  secret TEXT NOT NULL
);
CREATE INDEX join_tokens_by_server ON join_tokens ("server", id);

CREATE TABLE certificates (
  id TEXT PRIMARY KEY,
  version BIGINT NOT NULL,
  "server" TEXT NOT NULL,
  "serial" TEXT UNIQUE,
  doc TEXT NOT NULL,
  secret TEXT NOT NULL
);
CREATE INDEX certificates_by_server ON certificates ("server", id);

CREATE TABLE domains (
  id TEXT PRIMARY KEY,
  version BIGINT NOT NULL,
  "name" TEXT UNIQUE,
  doc TEXT NOT NULL,
  secret TEXT NOT NULL
);

CREATE TABLE accounts (
  id TEXT PRIMARY KEY,
  version BIGINT NOT NULL,
  "address" TEXT UNIQUE,
  "domain" TEXT NOT NULL,
  "server" TEXT NOT NULL,
  "state" TEXT NOT NULL,
  doc TEXT NOT NULL,
  secret TEXT NOT NULL
);
CREATE INDEX accounts_by_domain ON accounts ("domain", id);
CREATE INDEX accounts_by_server ON accounts ("server", id);
CREATE INDEX accounts_by_state ON accounts ("state", id);

CREATE TABLE operations (
  id TEXT PRIMARY KEY,
  version BIGINT NOT NULL,
  "state" TEXT NOT NULL,
  "kind" TEXT NOT NULL,
  "idempotency" TEXT UNIQUE,
  doc TEXT NOT NULL,
  secret TEXT NOT NULL
);
CREATE INDEX operations_by_state ON operations ("state", id);
CREATE INDEX operations_by_kind ON operations ("kind", id);

-- operations_server has the servers that an operation acts on.
CREATE TABLE operations_server (
  value TEXT NOT NULL,
  record TEXT NOT NULL REFERENCES operations (id) ON DELETE CASCADE,
  PRIMARY KEY (value, record)
);
CREATE INDEX operations_server_by_record ON operations_server (record);

CREATE TABLE rules (
  id TEXT PRIMARY KEY,
  version BIGINT NOT NULL,
  "name" TEXT UNIQUE,
  "metric" TEXT NOT NULL,
  "enabled" TEXT NOT NULL,
  doc TEXT NOT NULL,
  secret TEXT NOT NULL
);
CREATE INDEX rules_by_metric ON rules ("metric", id);
CREATE INDEX rules_by_enabled ON rules ("enabled", id);

CREATE TABLE contacts (
  id TEXT PRIMARY KEY,
  version BIGINT NOT NULL,
  "phone" TEXT UNIQUE,
  doc TEXT NOT NULL,
  secret TEXT NOT NULL
);

CREATE TABLE alerts (
  id TEXT PRIMARY KEY,
  version BIGINT NOT NULL,
  "state" TEXT NOT NULL,
  "server" TEXT NOT NULL,
  "rule" TEXT NOT NULL,
  "severity" TEXT NOT NULL,
  doc TEXT NOT NULL,
  secret TEXT NOT NULL
);
CREATE INDEX alerts_by_state ON alerts ("state", id);
CREATE INDEX alerts_by_server ON alerts ("server", id);
CREATE INDEX alerts_by_rule ON alerts ("rule", id);
CREATE INDEX alerts_by_severity ON alerts ("severity", id);

CREATE TABLE sms (
  id TEXT PRIMARY KEY,
  version BIGINT NOT NULL,
  "state" TEXT NOT NULL,
  "alert" TEXT NOT NULL,
  "to" TEXT NOT NULL,
  "key" TEXT UNIQUE,
  doc TEXT NOT NULL,
  secret TEXT NOT NULL
);
CREATE INDEX sms_by_state ON sms ("state", id);
CREATE INDEX sms_by_alert ON sms ("alert", id);
CREATE INDEX sms_by_to ON sms ("to", id);

CREATE TABLE people (
  id TEXT PRIMARY KEY,
  version BIGINT NOT NULL,
  "name" TEXT UNIQUE,
  doc TEXT NOT NULL,
  secret TEXT NOT NULL
);

CREATE TABLE sessions (
  id TEXT PRIMARY KEY,
  version BIGINT NOT NULL,
  "person" TEXT NOT NULL,
  "hash" TEXT UNIQUE,
  doc TEXT NOT NULL,
  secret TEXT NOT NULL
);
CREATE INDEX sessions_by_person ON sessions ("person", id);

CREATE TABLE tokens (
  id TEXT PRIMARY KEY,
  version BIGINT NOT NULL,
  "name" TEXT UNIQUE,
  "hash" TEXT UNIQUE,
  doc TEXT NOT NULL,
  secret TEXT NOT NULL
);

CREATE TABLE audit (
  id TEXT PRIMARY KEY,
  version BIGINT NOT NULL,
  "actor" TEXT NOT NULL,
  "action" TEXT NOT NULL,
  "resource" TEXT NOT NULL,
  "target" TEXT NOT NULL,
  doc TEXT NOT NULL,
  secret TEXT NOT NULL
);
CREATE INDEX audit_by_actor ON audit ("actor", id);
CREATE INDEX audit_by_action ON audit ("action", id);
CREATE INDEX audit_by_resource ON audit ("resource", id);
CREATE INDEX audit_by_target ON audit ("target", id);
CREATE UNIQUE INDEX audit_by_version ON audit (version);

CREATE TABLE settings (
  id TEXT PRIMARY KEY,
  version BIGINT NOT NULL,
  "name" TEXT UNIQUE,
  doc TEXT NOT NULL,
  secret TEXT NOT NULL
);
