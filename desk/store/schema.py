"""Tables of the store, and the statements that fill them.

Each statement may be done again with the same message and changes nothing then: a topic is read at least once. Actions
have no other order than that of their topic, which is that of their rowid.
"""

FORMAT = "3"
TABLES = """
CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE positions (topic TEXT, partition INTEGER, next INTEGER NOT NULL, PRIMARY KEY (topic, partition))
    WITHOUT ROWID;
CREATE TABLE scores (
    machine TEXT, time_us INTEGER, state TEXT NOT NULL, score REAL, threshold REAL, ratio REAL, over INTEGER NOT NULL,
    at_ms INTEGER NOT NULL, partition INTEGER NOT NULL, masked TEXT, model TEXT NOT NULL, top TEXT,
    PRIMARY KEY (machine, time_us)
) WITHOUT ROWID;
CREATE TABLE breaks (machine TEXT, time_us INTEGER, PRIMARY KEY (machine, time_us)) WITHOUT ROWID;
CREATE TABLE grades (machine TEXT, time_us INTEGER, grade TEXT NOT NULL, PRIMARY KEY (machine, time_us)) WITHOUT ROWID;
CREATE TABLE alerts (
    alert_id TEXT PRIMARY KEY, machine TEXT NOT NULL, opened_us INTEGER NOT NULL, last_us INTEGER NOT NULL,
    closed_us INTEGER, critical INTEGER NOT NULL, peak REAL, subject TEXT, local_time TEXT, first_ms INTEGER NOT NULL,
    at_ms INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX alerts_by_time ON alerts (opened_us);
CREATE INDEX alerts_by_machine ON alerts (machine, opened_us);
CREATE TABLE events (
    alert_id TEXT, time_us INTEGER, kind TEXT, severity TEXT NOT NULL, ratio REAL, message TEXT NOT NULL, top TEXT,
    odds TEXT, shelved_us INTEGER, PRIMARY KEY (alert_id, time_us, kind)
) WITHOUT ROWID;
CREATE TABLE actions (
    digest BLOB PRIMARY KEY, machine TEXT NOT NULL, time_us INTEGER NOT NULL, action TEXT NOT NULL, alert_id TEXT,
    sensor TEXT, until_us INTEGER, verdict TEXT, cause TEXT, by TEXT NOT NULL, comment TEXT, at_ms INTEGER NOT NULL
);
CREATE INDEX actions_by_machine ON actions (machine, time_us);
CREATE INDEX actions_by_alert ON actions (alert_id);
CREATE TABLE dead_letters (
    digest BLOB PRIMARY KEY, at_ms INTEGER NOT NULL, reason TEXT NOT NULL, message TEXT NOT NULL, source TEXT NOT NULL,
    record BLOB NOT NULL, truncated INTEGER NOT NULL
);
CREATE INDEX dead_letters_by_time ON dead_letters (at_ms);
"""
TABLE_NAMES = ("meta", "positions", "scores", "breaks", "grades", "alerts", "events", "actions", "dead_letters")

POSITION = "INSERT OR REPLACE INTO positions VALUES (?, ?, ?)"
SCORE = "INSERT OR REPLACE INTO scores VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
BREAK = "INSERT OR IGNORE INTO breaks VALUES (?, ?)"
GRADE = "INSERT OR REPLACE INTO grades VALUES (?, ?, ?)"
ALERT = """
INSERT INTO alerts VALUES (:alert_id, :machine, :opened_us, :time_us, :closed_us, :critical, :ratio, :subject,
    :local_time, :at_ms, :at_ms)
ON CONFLICT (alert_id) DO UPDATE SET
    last_us = max(last_us, excluded.last_us), closed_us = coalesce(excluded.closed_us, closed_us),
    critical = max(critical, excluded.critical), peak = max(coalesce(peak, 0), coalesce(excluded.peak, 0)),
    subject = coalesce(excluded.subject, subject), local_time = coalesce(excluded.local_time, local_time),
    first_ms = min(first_ms, excluded.first_ms), at_ms = max(at_ms, excluded.at_ms)
"""
EVENT = """
INSERT OR REPLACE INTO events VALUES (:alert_id, :time_us, :kind, :severity, :ratio, :message, :top, :odds, :shelved_us)
"""
ACTION = "INSERT OR IGNORE INTO actions VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
DEAD_LETTER = "INSERT OR IGNORE INTO dead_letters VALUES (?, ?, ?, ?, ?, ?, ?)"
