-- redrivable: which letters of a user can be tried again. A function for redrive.lua; it reads only.

-- Answers the letters of a user that can go, newest first, as {eventId, packed, reason, code}; or none and why.
local function lettersOf(user)
  local prefix = user .. ' '
  local members = redis.call('ZREVRANGEBYLEX', keys.deadByUser, '(' .. user .. '!', '[' .. prefix, 'LIMIT', 0, 1000)
  local ids = {}
  for i = 1, #members do
    ids[i] = string.sub(members[i], #prefix + 1)
  end
  table.sort(ids, function(a, b) return isOlder(b, a) end)
  local letters, left, bytes, alone = {}, 'none', 0, false
  for _, eventId in ipairs(ids) do
    local h = redis.call('HMGET', keys.deadPrefix .. eventId, 'state', 'reason', 'code', 'letter', 'notBefore')
    local readable, letter = pcall(cjson.decode, h[4] or '')
    if h[1] == 'dead' and h[2] == 'invalid' and not request.invalid then
      left = 'invalid'
    elseif h[1] == 'dead' and (not readable or letter.partial == true) then
      left = left == 'none' and 'partial' or left
    elseif h[1] == 'dead' then
      local notBefore = tonumber(h[5]) or letter.notBefore
      if type(notBefore) == 'number' and notBefore > nowMs and not request.early then
        return {}, 'early', #ids
      end
      local entry = { eventId }
      for name, value in pairs(letter.event) do
        entry[#entry + 1] = name
        entry[#entry + 1] = value
      end
      if request.password then
        entry[#entry + 1] = 'password'
        entry[#entry + 1] = request.password
      end
      local packed = cjson.encode(entry)
      if #letters > 0 and (#letters >= request.maxEvents or bytes + #packed > request.maxBytes) then
        break
      end
      bytes = bytes + #packed
      -- The batch call carries no robot. And what died without a reason of its own may have died of a neighbour in its
      -- call: letters that died together go apart.
      if #letters == 0 then
        alone = letter.event.type == '1'
      end
      alone = alone or h[2] == 'expired' or h[2] == 'unknown'
      letters[#letters + 1] = { eventId, packed, h[2], h[3] }
    end
  end
  return letters, left, #ids, alone, bytes
end
