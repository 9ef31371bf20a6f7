-- What a new site's deployment wants, whatever a dump has brought.
SELECT 'CREATE ROLE a9s_service LOGIN' WHERE to_regrole('a9s_service') IS NULL \gexec
ALTER ROLE a9s_service PASSWORD 'of-the-new-site';
