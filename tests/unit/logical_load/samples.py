"""Small dumps in the form of pg_dumpall."""

from __future__ import annotations

HEAD = b"""--
-- PostgreSQL database cluster dump
--

\\restrict abc
SET client_encoding = 'UTF8';
SET standard_conforming_strings = on;
CREATE ROLE postgres;
\\unrestrict abc

--
-- Database "shop" dump
--

--
-- PostgreSQL database dump
--

\\restrict def
-- Dumped from database version 15.20 (Debian 15.20-0+deb12u1)
-- Dumped by pg_dump version 15.19
CREATE DATABASE shop WITH TEMPLATE = template0;
\\unrestrict def
\\connect shop
\\restrict def
SET client_encoding = 'UTF8';
"""
TAIL = b"""
--
-- PostgreSQL database dump complete
--

\\unrestrict def

--
-- PostgreSQL database cluster dump complete
--

"""


def dump(body: bytes) -> bytes:
    """Give a dump whose one database holds this."""
    return HEAD + body + TAIL
