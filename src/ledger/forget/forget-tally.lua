-- forget-tally: what the scripts that forget events share. It stands before their own text and does nothing by
-- itself.

-- Counts an event that ends here in the tally of its import, if that still stands (event/tally.ts): whoever waits
-- for the import must not wait for ever. `fields` from `first` on are names and values; of a repeated one the last
-- counts.
local function countInTally(prefix, fields, first)
  local tally
  for i = first, #fields - 1, 2 do
    if fields[i] == 'tally' then
      tally = fields[i + 1]
    end
  end
  if tally and #tally <= 64 and string.find(tally, '^[%w_-]+$') and redis.call('EXISTS', prefix .. tally) == 1 then
    redis.call('HINCRBY', prefix .. tally, 'dead-lettered', 1)
  end
end
