BEGIN TRANSACTION;
CREATE TABLE curves (                       -- derived from the samples, a value every 20 ms
        ride INTEGER PRIMARY KEY REFERENCES rides ON DELETE CASCADE,
        offsets_us TEXT NOT NULL,               -- JSON arrays, all of the same length
        position_mm TEXT NOT NULL,
        velocity_mm_s TEXT NOT NULL,
        acceleration_mm_s2 TEXT NOT NULL
    ) STRICT;
INSERT INTO "curves" VALUES(1,'[0,20000]','[1000.0,1000.4]','[0.0,2.5]','[0,120]');
CREATE TABLE floors (
        key INTEGER PRIMARY KEY,
        first_mm REAL NOT NULL,
        position_mm REAL NOT NULL,
        stops INTEGER NOT NULL
    ) STRICT;
INSERT INTO "floors" VALUES(1,1000.0,1001.5,3);
INSERT INTO "floors" VALUES(2,4000.0,4000.0,2);
CREATE TABLE pieces (                       -- of the ride in progress, a second each
        ride INTEGER NOT NULL REFERENCES rides ON DELETE CASCADE,
        number INTEGER NOT NULL,
        body TEXT NOT NULL,                     -- JSON object: channel -> [offsets_us, raw], and events
        PRIMARY KEY (ride, number)
    ) STRICT;
INSERT INTO "pieces" VALUES(2,0,'{"samples":{"master":[[0,4000],[4000,4000]]},"events":[]}');
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
    , is_starred INTEGER NOT NULL DEFAULT 0) STRICT;
INSERT INTO "rides" VALUES(1,'3d3c54a5-6f0e-4d52-8f44-0d7d25a3b6a1','les02',1763632800.25,1763632808.5,'up',3000.0,'completed','{"distance_mm":3000.0,"duration_s":8.25,"relevels":1}','[{"proto":1,"type":"ride_start","ts":1763632800.25,"source":"les02","payload":{"ride_id":"3d3c54a5-6f0e-4d52-8f44-0d7d25a3b6a1","direction":"up"}}]',1.0,'V-17','screw 2 a quarter turn out',1,60,1);
INSERT INTO "rides" VALUES(2,'9b2f1a70-58d4-4a0b-9d53-2f6c1c0a7e44','les02',1763632820.0,NULL,'down',NULL,NULL,'{}','[]',1.0,'V-17','',0,0,0);
CREATE TABLE samples (
        ride INTEGER NOT NULL REFERENCES rides ON DELETE CASCADE,
        channel TEXT NOT NULL,
        offsets_us TEXT NOT NULL,               -- JSON array: microseconds after start_ts
        raw TEXT NOT NULL,                      -- JSON array: counts of the sensor
        PRIMARY KEY (ride, channel)
    ) STRICT;
INSERT INTO "samples" VALUES(1,'master','[0,4000,8000]','[1000,1000,1001]');
INSERT INTO "samples" VALUES(1,'slave','[2000,6000]','[1000,1001]');
CREATE TABLE settings (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
INSERT INTO "settings" VALUES('specimen','V-17');
CREATE INDEX rides_by_start ON rides (start_ts);
CREATE INDEX rides_by_specimen ON rides (specimen, start_ts);
DELETE FROM "sqlite_sequence";
INSERT INTO "sqlite_sequence" VALUES('rides',2);
COMMIT;
PRAGMA user_version = 2;
