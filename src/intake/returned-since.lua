-- returned-since: since when entries wait at the front of the intake. A function for ledger/settle.lua; it needs
-- keys.returned, keys.cutter and the clock. cut/due.lua reads it.

-- To be called before an entry is returned.
local function noteReturn()
  if redis.call('LLEN', keys.returned) == 0 then
    redis.call('HSET', keys.cutter, 'returnedSince', nowText)
  end
end
