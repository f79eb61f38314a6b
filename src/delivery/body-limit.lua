-- body-limit: notes for the fleet how large the body of a call may be.
--
-- KEYS 1 body-limit
-- ARGV 1 bytes   2 how long it stands (ms)
-- Answers nothing. One script, so that a full Redis takes the note as well (docs/decisions/0050).

-- A write that needs no memory comes first: so a full Redis runs the rest, too (docs/decisions/0050).
redis.call('DEL', KEYS[1])
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
