"""What is in the database, and how it came about: one script for each version, never changed once released.

Pure. `PRAGMA user_version` says how many of them a file has seen. Times are Unix seconds, JSON is text, so
that the file can be read with nothing but the sqlite3 shell.
"""

from typing import Final

MIGRATIONS: Final = (
    # 1: rides
    """
    CREATE TABLE rides (
        number INTEGER PRIMARY KEY AUTOINCREMENT,
        id TEXT NOT NULL UNIQUE,
        source TEXT NOT NULL,
        start_ts REAL NOT NULL,
        end_ts REAL,                            -- NULL, as is the reason: in progress
        direction TEXT NOT NULL,
        distance_mm REAL,
        reason TEXT,
        summary TEXT NOT NULL DEFAULT '{}',     -- JSON object, as in ride_end
        events TEXT NOT NULL DEFAULT '[]',      -- JSON array of envelopes, without samples
        resolution_mm REAL NOT NULL,
        specimen TEXT NOT NULL DEFAULT '',
        note TEXT NOT NULL DEFAULT '',
        is_reference INTEGER NOT NULL DEFAULT 0,
        size INTEGER NOT NULL DEFAULT 0         -- bytes of samples and events
    ) STRICT;
    CREATE INDEX rides_by_start ON rides (start_ts);
    CREATE TABLE samples (
        ride INTEGER NOT NULL REFERENCES rides ON DELETE CASCADE,
        channel TEXT NOT NULL,
        offsets_us TEXT NOT NULL,               -- JSON array: microseconds after start_ts
        raw TEXT NOT NULL,                      -- JSON array: counts of the sensor
        PRIMARY KEY (ride, channel)
    ) STRICT;
    CREATE TABLE curves (                       -- derived from the samples, a value every 20 ms
        ride INTEGER PRIMARY KEY REFERENCES rides ON DELETE CASCADE,
        offsets_us TEXT NOT NULL,               -- JSON arrays, all of the same length
        position_mm TEXT NOT NULL,
        velocity_mm_s TEXT NOT NULL,
        acceleration_mm_s2 TEXT NOT NULL
    ) STRICT;
    CREATE TABLE pieces (                       -- of the ride in progress, a second each
        ride INTEGER NOT NULL REFERENCES rides ON DELETE CASCADE,
        number INTEGER NOT NULL,
        body TEXT NOT NULL,                     -- JSON object: channel -> [offsets_us, raw], and events
        PRIMARY KEY (ride, number)
    ) STRICT;
    CREATE TABLE floors (
        key INTEGER PRIMARY KEY,
        first_mm REAL NOT NULL,
        position_mm REAL NOT NULL,
        stops INTEGER NOT NULL
    ) STRICT;
    CREATE TABLE settings (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
    """,
    # 2: rides that retention leaves alone, and finding those of a specimen
    """
    ALTER TABLE rides ADD COLUMN is_starred INTEGER NOT NULL DEFAULT 0;
    CREATE INDEX rides_by_specimen ON rides (specimen, start_ts);
    """,
    # 3: what other devices said during a ride
    """
    CREATE TABLE signals (
        ride INTEGER NOT NULL REFERENCES rides ON DELETE CASCADE,
        name TEXT NOT NULL,                     -- bus.message.signal
        unit TEXT NOT NULL,
        offsets_us TEXT NOT NULL,               -- JSON arrays of the same length: microseconds after start_ts
        value TEXT NOT NULL,                    -- numbers in this unit
        words TEXT NOT NULL,                    -- JSON object: the words of values that have one
        PRIMARY KEY (ride, name)
    ) STRICT;
    """,
    # 4: what robots tell of themselves
    """
    CREATE TABLE robots (device_id TEXT PRIMARY KEY, name TEXT NOT NULL) STRICT;
    CREATE TABLE robot_telemetry (
        device_id TEXT NOT NULL,
        ts REAL NOT NULL,
        battery REAL,                           -- percent; NULL: it did not say
        cpu REAL,                               -- percent
        temperature REAL,                       -- degrees Celsius
        signal REAL,                            -- percent
        UNIQUE (device_id, ts)
    ) STRICT;
    CREATE INDEX robot_telemetry_by_ts ON robot_telemetry (ts);
    """,
    # 5: nodes of the wireless mesh, and what they measure
    """
    CREATE TABLE mesh_nodes (
        addr INTEGER PRIMARY KEY,
        uuid BLOB NOT NULL,                     -- empty: it has not been told
        last_seen REAL                          -- NULL: it was told of, and has not said anything itself
    ) STRICT;
    CREATE TABLE mesh_data (
        addr INTEGER NOT NULL,
        type TEXT NOT NULL,                     -- name of the data type
        ts REAL NOT NULL,
        data BLOB NOT NULL,                     -- octets as they came
        UNIQUE (addr, type, ts)
    ) STRICT;
    CREATE INDEX mesh_data_by_ts ON mesh_data (ts);
    """,
)
