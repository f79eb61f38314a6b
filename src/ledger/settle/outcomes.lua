-- outcomes: who is told how an event ended. Functions for settle.lua.

-- The stream of outcomes, for those who follow all of them. Nothing is written unless it is asked for.
local function tellOutcome(fields)
  redis.call('XADD', keys.outcomes, 'MAXLEN', '~', request.outcomesKept, '*', unpack(fields))
end

-- A tally counts an event when it ends for the first time, and only where the tally stands: so nobody who writes events
-- makes keys.
local function countTallies(isRedrive)
  for i = 1, #(request.tallies or {}), 3 do
    local tally = request.tallies[i]
    if not isRedrive and redis.call('EXISTS', tally) == 1 then
      redis.call('HINCRBY', tally, request.tallies[i + 1], request.tallies[i + 2])
    end
  end
end

-- A producer's own channel that nobody listens on just now: its connection may be coming back (producer/outcome-inbox.ts),
-- so the message is kept for a minute. On a cluster the listeners of other nodes are not counted; a message that is heard
-- twice does no harm.
local function publishOutcomes()
  for i = 1, #request.publish, 2 do
    local reply, message = request.publish[i], request.publish[i + 1]
    if redis.call('PUBLISH', reply, message) == 0 and string.sub(reply, 1, #request.replyPrefix) == request.replyPrefix then
      redis.call('RPUSH', reply, message)
      redis.call('LTRIM', reply, -10000, -1)
      redis.call('PEXPIRE', reply, 60000)
    end
  end
end
