"""Readers: each turns a file of one kind into records with their place in it. READERS names them by the kind that a mapping's source declares."""
from __future__ import annotations

from app.mapping.readers import csv

READERS = {"csv": csv.Reader}
