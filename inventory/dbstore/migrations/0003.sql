-- What is on a plan, and where the things of audit entries lie.

ALTER TABLE tenants ADD COLUMN "plan" TEXT NOT NULL DEFAULT '';
CREATE INDEX tenants_by_plan ON tenants ("plan", id);
ALTER TABLE domains ADD COLUMN "plan" TEXT NOT NULL DEFAULT '';
CREATE INDEX domains_by_plan ON domains ("plan", id);
ALTER TABLE accounts ADD COLUMN "plan" TEXT NOT NULL DEFAULT '';
CREATE INDEX accounts_by_plan ON accounts ("plan", id);

CREATE TABLE audit_scope (
  value TEXT NOT NULL,
  record TEXT NOT NULL REFERENCES audit (id) ON DELETE CASCADE,
  PRIMARY KEY (value, record)
);
CREATE INDEX audit_scope_by_record ON audit_scope (record);
