-- oldest-waiting: the front of the intake. Functions for totals.lua and ops/presence.lua.

-- When the oldest event that waits in the intake was accepted (ms), nil for none; and the length of `returned`.
local function oldestWaiting()
  local oldest
  local head = redis.call('XRANGE', keys.stream, '-', '+', 'COUNT', 1)
  if head[1] then
    oldest = tonumber(string.match(head[1][1], '^%d+'))
  end
  local returned = redis.call('LLEN', keys.returned)
  if returned > 0 then
    -- An ID says when its event was accepted, which is what an age is counted from. What came back last stands
    -- first, so the oldest may be at either end.
    for _, at in ipairs({ 0, -1 }) do
      local accepted = tonumber(string.match(redis.call('LINDEX', keys.returned, at), '^%["(%d+)'))
      if accepted then
        oldest = math.min(accepted, oldest or accepted)
      end
    end
  end
  return oldest, returned
end
