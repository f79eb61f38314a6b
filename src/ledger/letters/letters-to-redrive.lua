-- letters-to-redrive: which letters of a user can go into a call again, for redrive.lua, whose request this reads.
--
-- Needs the keys deadByUser and deadPrefix, and letter-text.lua.

local looked = 0

-- The letters of a user that can go, newest first: {eventId, packed, reason, code}, with `bytes` of them all,
-- and `alone` when they need a call of their own. Without any, `left` says why.
local function lettersOf(user)
  local prefix = user .. ' '
  local ids = redis.call('ZREVRANGEBYLEX', keys.deadByUser, '(' .. user .. '!', '[' .. prefix, 'LIMIT', 0, 1000)
  for i = 1, #ids do
    ids[i] = string.sub(ids[i], #prefix + 1)
  end
  table.sort(ids, function(a, b) return isOlder(b, a) end)
  local found = { left = 'none', count = #ids, bytes = 0, alone = false }
  for _, eventId in ipairs(ids) do
    looked = looked + 1
    local h, packedLetter = readWhole(keys.deadPrefix .. eventId)
    local readable, letter = pcall(cjson.decode, packedLetter)
    if h.state == 'dead' and h.reason == 'invalid' and not request.invalid then
      found.left = 'invalid'
    elseif h.state == 'dead' and (not readable or letter.partial == true) then
      found.left = found.left == 'none' and 'partial' or found.left
    elseif h.state == 'dead' then
      local notBefore = tonumber(h.notBefore) or letter.notBefore
      if type(notBefore) == 'number' and notBefore > nowMs and not request.early then
        return { left = 'early', count = #ids }
      end
      -- The text leaves the user out where the hash has it.
      local entry = letter.event.userId and { eventId } or { eventId, 'userId', h.userId }
      for name, value in pairs(letter.event) do
        entry[#entry + 1] = name
        entry[#entry + 1] = value
      end
      if request.password then
        entry[#entry + 1] = 'password'
        entry[#entry + 1] = request.password
      end
      local packed = cjson.encode(entry)
      if #found > 0 and (#found >= request.maxEvents or found.bytes + #packed > request.maxBytes) then
        break
      end
      found.bytes = found.bytes + #packed
      -- The batch call carries no robot. And what died without a reason of its own may have died of a
      -- neighbour in its call: letters that died together go apart.
      if #found == 0 then
        found.alone = letter.event.type == '1'
      end
      found.alone = found.alone or h.reason == 'expired' or h.reason == 'unknown'
      found[#found + 1] = { eventId, packed, h.reason, h.code }
    end
  end
  return found
end
