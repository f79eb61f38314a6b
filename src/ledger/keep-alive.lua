-- keep-alive: a process still works on these calls (request: callIds). Without it the sweep would give them
-- to another one. It never brings a call forward that was put off meanwhile, nor one back that is closed.

nameKeys('open')
readRequest()
writeNothing('ZREM', keys.open)
readClock()
for _, callId in ipairs(request.callIds) do
  redis.call('ZADD', keys.open, 'XX', 'GT', nowText, callId)
end
