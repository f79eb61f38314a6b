-- call-run: which run owns a call record, and that its call may be on the wire. Functions for pace/slot.lua.

-- False when the record is gone, or another run owns it.
local function isOwnedBy(call, run)
  return redis.call('HGET', call, 'run') == run
end

-- From here on the call may be on the wire: a run that takes the record over must know when it was sent.
local function recordSent(call, atMicros)
  redis.call('HSET', call, 'sentAt', text(atMicros / 1000))
end
