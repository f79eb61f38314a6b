-- lease: which process sends the notices of the fleet, and what it has told.
--
-- KEYS     notices   hash sender, until (ms, its lease), format, state (JSON: sender.ts); gone 30 days after
--                    the last sender
--          hold      read only, so that a look takes no command more
-- Request  op       'claim': take or keep the lease    'save': store the state    'release': store it, and go
--          id       the process
--          format   of the state; what another version has told is not understood, and counts as nothing
--          leaseMs  for claim
--          state    for save and release
-- Answers  claim: { 'yours', kept (1: it was the sender already), state or '', { fields of hold } }, or
--          { 'theirs' }.  save and release: 1, or 0 when another process is the sender: nothing was stored.
-- Atomic, so that one process sends at a time, and one that lost its lease stores nothing.

local LIFE_MS = 30 * 86400000
-- A lease that seems longer is from before Redis's clock was set back.
local LONGEST_LEASE_MS = 20000

nameKeys('notices', 'hold')
readRequest()
writeNothing('HDEL', keys.notices)
readClock()

local now = readFields(keys.notices, 'sender', 'until', 'format', 'state')
-- A lease that ran out is still its owner's, until another process takes it.
local isMine = now.sender == request.id
local isLeased = now.sender and isUpcoming(tonumber(now['until'] or 0), nowMs, LONGEST_LEASE_MS)

if request.op == 'claim' then
  if isLeased and not isMine then
    return { 'theirs' }
  end
  redis.call('HSET', keys.notices, 'sender', request.id, 'until', text(nowMs + request.leaseMs), 'format', request.format)
  redis.call('PEXPIRE', keys.notices, LIFE_MS)
  local state = now.format == request.format and now.state or ''
  return { 'yours', isMine and 1 or 0, state, redis.call('HGETALL', keys.hold) }
end

if not isMine then
  return 0
end
redis.call('HSET', keys.notices, 'state', request.state)
if request.op == 'release' then
  redis.call('HDEL', keys.notices, 'sender', 'until')
end
return 1
