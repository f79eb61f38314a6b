-- forget-tally: the scripts that forget events share it.

-- Counts an event that ends here in the tally of its import, if that still stands (event/tally.ts): a wait for the import
-- must not last for ever. `entry` has names and values from `first` on.
local function countInTally(entry, first)
  local name = valueOf(entry, first, 'tally')
  if not name or #name > 64 or not string.find(name, '^[%w_-]+$') then
    return
  end
  local tally = keys.tallyPrefix .. name
  if redis.call('EXISTS', tally) == 1 then
    redis.call('HINCRBY', tally, 'dead-lettered', 1)
  end
end
