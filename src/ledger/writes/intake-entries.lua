-- intake-entries: what takes entries off the stream and off the list of returned ones, and parks them. Functions for
-- intake/cut.lua; they need keys.stream, keys.returned, keys.parkedPrefix and keys.parkedCounts.

-- Takes the first `count` entries of the list.
local function takeReturned(count)
  redis.call('LTRIM', keys.returned, count, -1)
end

-- Takes the first `count` entries of a chunk off the stream. All entries up to the last of them have been moved, so
-- they go together, by their range.
local function takeOffStream(chunk, count)
  local ms, seq = string.match(chunk[count][1], '^(%d+)%-(%d+)$')
  if #seq < 15 then
    redis.call('XTRIM', keys.stream, 'MINID', ms .. '-' .. text(tonumber(seq) + 1))
    return
  end
  for i = 1, count do
    redis.call('XDEL', keys.stream, chunk[i][1])
  end
end

-- The user is in a call already: the entry waits behind it, in order.
local function parkEntry(user, packed)
  redis.call('RPUSH', keys.parkedPrefix .. user, packed)
  redis.call('HINCRBY', keys.parkedCounts, user, 1)
end

-- Counts what a cut took off the stream and parked.
local function countCut(taken, parked)
  redis.call('HINCRBY', keys.books, 'taken', taken)
  if parked > 0 then
    redis.call('HINCRBY', keys.books, 'parked', parked)
  end
end
