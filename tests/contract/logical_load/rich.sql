-- A cluster with one of each thing that pg_dumpall writes down. Run in database postgres.
CREATE ROLE "we ird" LOGIN PASSWORD 'secret''s;';
CREATE ROLE readers NOLOGIN;
CREATE ROLE loader LOGIN CREATEDB CONNECTION LIMIT 3 VALID UNTIL '2050-01-01';
GRANT readers TO "we ird" WITH ADMIN OPTION;
ALTER ROLE loader SET work_mem = '6MB';
COMMENT ON ROLE readers IS 'who reads; "all" of them';
CREATE DATABASE rich OWNER loader;
CREATE DATABASE "my d'b" ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0;
CREATE DATABASE empty;
ALTER DATABASE rich SET work_mem = '5MB';
ALTER DATABASE rich SET bytea_output = 'escape';
ALTER DATABASE rich CONNECTION LIMIT 50;
ALTER ROLE "we ird" IN DATABASE rich SET search_path = app, public;
COMMENT ON DATABASE rich IS 'rich; $$very$$ \ rich';
GRANT CONNECT ON DATABASE rich TO "we ird";
REVOKE TEMPORARY ON DATABASE rich FROM PUBLIC;

\connect "my d'b"
CREATE TABLE "T ä;" (v text);
INSERT INTO "T ä;" VALUES ('grün'), (NULL), ('\.'), (E'a\\.\n\\.\nb');

\connect rich
CREATE EXTENSION pg_trgm;
CREATE EXTENSION hstore;
CREATE SCHEMA app AUTHORIZATION loader;
CREATE SCHEMA "We ird";
ALTER DEFAULT PRIVILEGES FOR ROLE loader IN SCHEMA app GRANT SELECT ON TABLES TO readers;
ALTER DEFAULT PRIVILEGES FOR ROLE loader GRANT EXECUTE ON FUNCTIONS TO readers;
CREATE DOMAIN app.grade AS int CHECK (VALUE BETWEEN 1 AND 6);
CREATE TYPE app.mood AS ENUM ('sad', 'it''s; fine', 'happy');
CREATE TYPE app.pair AS (a int, b text);
CREATE TYPE app.span AS RANGE (subtype = float8);
CREATE SEQUENCE app.tickets START 100 INCREMENT 7 CYCLE MAXVALUE 100000;
SELECT nextval('app.tickets'), nextval('app.tickets');
CREATE TABLE app.customers (
    id bigint GENERATED ALWAYS AS IDENTITY (START 5) PRIMARY KEY,
    name text NOT NULL,
    lower_name text GENERATED ALWAYS AS (lower(name)) STORED,
    grade app.grade DEFAULT 3,
    mood app.mood,
    pair app.pair,
    tags hstore,
    body jsonb,
    raw bytea,
    at timestamptz DEFAULT '2026-01-01 00:00+00',
    UNIQUE (name, grade)
);
INSERT INTO app.customers (name, grade, mood, pair, tags, body, raw)
SELECT 'c' || n || E'\t\n\\.\n' || chr(9731), 1 + n % 6,
       (ARRAY['sad', 'it''s; fine', 'happy'])[1 + n % 3]::app.mood,
       (n, E'a"b\\c')::app.pair, hstore('k', n::text),
       jsonb_build_object('n', n, 's', repeat(md5(n::text), 20)), decode(md5(n::text), 'hex')
FROM generate_series(1, 12000) n;
CREATE TABLE app.orders (
    id serial PRIMARY KEY,
    customer bigint REFERENCES app.customers ON DELETE CASCADE,
    parent int REFERENCES app.orders DEFERRABLE INITIALLY DEFERRED,
    during tstzrange,
    note text DEFAULT ';--' NOT NULL CHECK (length(note) < 100)
);
INSERT INTO app.orders (customer, parent, during, note)
SELECT 5 + n % 1000, CASE WHEN n > 10 THEN n - 10 END, tstzrange('2026-01-01'::timestamptz + n * interval '1 min',
       '2026-01-01'::timestamptz + (n + 1) * interval '1 min'), md5(n::text) FROM generate_series(1, 5000) n;
ALTER TABLE app.orders ADD CONSTRAINT apart EXCLUDE USING gist (during WITH &&);
CREATE INDEX ON app.customers USING gin (body);
CREATE INDEX ON app.customers USING gin (name gin_trgm_ops);
CREATE INDEX by_lower ON app.customers (lower(name)) WHERE grade > 2;
CREATE INDEX ON app.customers (grade DESC NULLS LAST) INCLUDE (at);
CREATE INDEX ON app.orders USING brin (id);
COMMENT ON INDEX app.by_lower IS 'by lower; name';
COMMENT ON CONSTRAINT apart ON app.orders IS 'apart';
COMMENT ON COLUMN app.customers.name IS E'line one\nline two;';
ALTER TABLE app.customers CLUSTER ON customers_pkey;
ALTER TABLE app.orders REPLICA IDENTITY USING INDEX orders_pkey;
ALTER TABLE app.orders ALTER note SET STATISTICS 500, ALTER note SET STORAGE EXTERNAL;
CREATE STATISTICS app.related ON grade, mood FROM app.customers;
CREATE TABLE app.measured (at date NOT NULL, v int, PRIMARY KEY (at, v)) PARTITION BY RANGE (at);
CREATE TABLE app.measured_25 PARTITION OF app.measured FOR VALUES FROM ('2025-01-01') TO ('2026-01-01');
CREATE TABLE app.measured_26 PARTITION OF app.measured FOR VALUES FROM ('2026-01-01') TO ('2027-01-01')
    PARTITION BY LIST (v);
CREATE TABLE app.measured_26_x PARTITION OF app.measured_26 DEFAULT;
CREATE INDEX measured_v ON app.measured (v);
INSERT INTO app.measured SELECT date '2025-06-01' + n, n FROM generate_series(0, 500) n;
CREATE TABLE app.seen (at date, v int, FOREIGN KEY (at, v) REFERENCES app.measured);
INSERT INTO app.seen SELECT * FROM app.measured LIMIT 100;
CREATE TABLE app.old (LIKE app.orders INCLUDING DEFAULTS);
CREATE TABLE app.child (extra text) INHERITS (app.old);
INSERT INTO app.child (id, note, extra) VALUES (7, 'x', E'\\N');
CREATE UNLOGGED TABLE "We ird"."ta""ble;" ("co l" text, "SELECT" int, nothing text);
INSERT INTO "We ird"."ta""ble;" VALUES ('\.', 1, ''), (E'\\\\.', NULL, NULL), ('', 3, E'\r\n'), ('$$', 4, '''');
CREATE TABLE "We ird".none ();
INSERT INTO "We ird".none DEFAULT VALUES;
INSERT INTO "We ird".none DEFAULT VALUES;
CREATE FUNCTION app.atomic(n int) RETURNS text LANGUAGE sql IMMUTABLE
BEGIN ATOMIC
    SELECT CASE WHEN n > 1 THEN 'END;' ELSE (SELECT CASE n WHEN 1 THEN ';' END) END;
    SELECT 'two' AS two;
END;
CREATE FUNCTION app.told() RETURNS trigger LANGUAGE plpgsql AS $f$
BEGIN -- a comment; with ' a quote
    NEW.note := coalesce(NEW.note, $$it's$$); /* ; */ RETURN NEW;
END $f$;
CREATE FUNCTION app.old_way() RETURNS text LANGUAGE sql AS 'SELECT E''a;\''b''::text';
CREATE PROCEDURE app.run(INOUT x int) LANGUAGE plpgsql AS $$ BEGIN x := x + 1; COMMIT; END $$;
CREATE AGGREGATE app.total(int) (SFUNC = int4pl, STYPE = int, INITCOND = '0');
CREATE OPERATOR app.=== (LEFTARG = int, RIGHTARG = int, FUNCTION = int4eq);
CREATE TRIGGER tell BEFORE INSERT ON app.orders FOR EACH ROW EXECUTE FUNCTION app.told();
ALTER TABLE app.orders DISABLE TRIGGER tell;
CREATE VIEW app.good WITH (security_barrier) AS SELECT id, name FROM app.customers WHERE grade < 3;
CREATE VIEW app.grouped AS SELECT id, name, count(*) FROM app.customers GROUP BY id;
CREATE MATERIALIZED VIEW app.summary AS SELECT grade, count(*) AS n FROM app.customers GROUP BY grade;
CREATE UNIQUE INDEX ON app.summary (grade);
CREATE MATERIALIZED VIEW app.deeper AS SELECT sum(n) FROM app.summary;
CREATE MATERIALIZED VIEW app.later AS SELECT 1 AS one WITH NO DATA;
CREATE RULE quiet AS ON DELETE TO app.seen DO INSTEAD (SELECT 1; SELECT ';');
ALTER TABLE app.customers ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON app.customers FOR SELECT TO readers USING (name = current_user);
GRANT SELECT (id, name) ON app.customers TO readers;
GRANT USAGE ON SCHEMA app TO readers WITH GRANT OPTION;
REVOKE EXECUTE ON FUNCTION app.old_way() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION pg_catalog.pg_read_file(text) TO loader;
ALTER TABLE app.customers OWNER TO loader;
ALTER TABLE app.measured OWNER TO "we ird";
CREATE PUBLICATION all_of_it FOR TABLE app.orders WHERE (id > 5), app.seen;
CREATE SUBSCRIPTION waiting CONNECTION 'host=127.0.0.1 password=hidden' PUBLICATION x WITH (connect = false);
CREATE FUNCTION app.noticed() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN END $$;
CREATE EVENT TRIGGER notice ON ddl_command_end WHEN TAG IN ('CREATE TABLE') EXECUTE FUNCTION app.noticed();
CREATE FOREIGN DATA WRAPPER nothing;
CREATE SERVER far FOREIGN DATA WRAPPER nothing OPTIONS (host 'h;');
CREATE USER MAPPING FOR loader SERVER far OPTIONS (password 'p;w');
CREATE FOREIGN TABLE app.far (id int) SERVER far;
CREATE TEXT SEARCH CONFIGURATION app.words (COPY = simple);
CREATE COLLATION app.plain (LOCALE = 'C');
CREATE CAST (app.mood AS int) WITH INOUT;
SELECT lo_from_bytea(4711, decode(repeat('00ff41', 20000), 'hex')), lo_from_bytea(4712, '');
ALTER LARGE OBJECT 4711 OWNER TO loader;
COMMENT ON LARGE OBJECT 4711 IS 'large';
GRANT SELECT ON LARGE OBJECT 4712 TO readers;
REVOKE ALL ON LARGE OBJECT 4712 FROM postgres;
GRANT UPDATE ON LARGE OBJECT 4711 TO readers WITH GRANT OPTION;
SET SESSION AUTHORIZATION readers;
GRANT UPDATE ON LARGE OBJECT 4711 TO PUBLIC;
RESET SESSION AUTHORIZATION;
-- Names of functions that reach files and other servers, where nothing calls them.
CREATE EXTENSION dblink;
CREATE SERVER dblink_far FOREIGN DATA WRAPPER dblink_fdw OPTIONS (host 'h', dbname 'd');
CREATE USER MAPPING FOR loader SERVER dblink_far OPTIONS (user 'u', password 'p;w');
CREATE TABLE app.dblink (id int PRIMARY KEY, dblink_exec text DEFAULT pg_read_file('x'));
INSERT INTO app.dblink VALUES (1, 'y');
CREATE TABLE app.pg_ls_log (id int REFERENCES app.dblink (id), at text);
CREATE INDEX pg_ls_at ON app.pg_ls_log (at);
CREATE TRIGGER lo_import BEFORE INSERT ON app.dblink FOR EACH ROW EXECUTE FUNCTION app.told();
ALTER TABLE app.dblink DISABLE TRIGGER lo_import;
ALTER TABLE app.dblink OWNER TO loader;
CREATE MATERIALIZED VIEW app.dblink_rows AS SELECT id FROM dblink('far', 'SELECT 1') AS t (id int) WITH NO DATA;
