-- Groups, DKIM keys, and accounts by their aliases.

INSERT INTO changes (kind, version) VALUES
  ('groups', 0),
  ('dkim-keys', 0);

CREATE TABLE accounts_alias (
  value TEXT NOT NULL,
  record TEXT NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
  PRIMARY KEY (value, record)
);
CREATE INDEX accounts_alias_by_record ON accounts_alias (record);

CREATE TABLE groups (
  id TEXT PRIMARY KEY,
  version BIGINT NOT NULL,
  "address" TEXT UNIQUE,
  "domain" TEXT NOT NULL,
  doc TEXT NOT NULL,
  secret TEXT NOT NULL
);
CREATE INDEX groups_by_domain ON groups ("domain", id);

CREATE TABLE groups_member (
  value TEXT NOT NULL,
  record TEXT NOT NULL REFERENCES groups (id) ON DELETE CASCADE,
  PRIMARY KEY (value, record)
);
CREATE INDEX groups_member_by_record ON groups_member (record);

CREATE TABLE "dkim-keys" (
  id TEXT PRIMARY KEY,
  version BIGINT NOT NULL,
  "domain/selector" TEXT UNIQUE,
  "domain" TEXT NOT NULL,
  "state" TEXT NOT NULL,
  doc TEXT NOT NULL,
  secret TEXT NOT NULL
);
CREATE INDEX dkim_keys_by_domain ON "dkim-keys" ("domain", id);
CREATE INDEX dkim_keys_by_state ON "dkim-keys" ("state", id);
