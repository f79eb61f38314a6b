-- place: which call an entry goes into. Functions for cut.lua. The user '' stands for none.

-- What this cut has made so far. `room`: calls that may still be opened; `here`: the call of each user that
-- this cut has seen; `claims`: owners to set, as user, callId, ...; `inHand`: the call that is taken in hand,
-- if one is; `others`: the calls beside it.
local cut = { room = 0, parked = 0, here = {}, claims = {}, others = {} }
-- The batch call that is being filled.
local batch = { entries = {}, users = 0, events = 0, bytes = 0, maxUsers = 0, maxBytes = 0 }

-- Only a well-formed ID can own anything (event/user-id.ts); any other entry goes along unowned and is
-- dead-lettered by its reader.
local function claimedUser(entry, first)
  local user = namedUser(entry, first) or ''
  return #user >= 1 and #user <= 32 and not string.find(user, '[^\33-\126]') and user or ''
end

local function seal(callId, command, entries, users, run)
  -- What came back from parking stands in no order of age.
  local oldestMs = nowMs
  for i = 1, #entries do
    oldestMs = math.min(oldestMs, tonumber(string.match(entries[i], '^%["(%d+)')))
  end
  local packed = '[' .. table.concat(entries, ',') .. ']'
  sealCall(callId, command, 'live', packed, users, #entries, text(oldestMs), run)
  if run ~= '' then
    cut.inHand = { map = { callId = callId, entries = packed, users = users } }
  else
    cut.others[#cut.others + 1] = { map = { callId = callId, command = command, users = users } }
  end
end

local function openBatch()
  batch.callId = batch.callId or newCallId()
end

local function sealBatch()
  if batch.events > 0 then
    openBatch()
    seal(batch.callId, request.batchCommand, batch.entries, batch.users, request.run)
    claimUsers(cut.claims)
  end
end

-- Whether the batch call of the old form cannot carry the entry: it has a profile or is a robot.
local function goesAlone(fields, first)
  local function has(name)
    return (valueOf(fields, first, name) or '') ~= ''
  end
  return valueOf(fields, first, 'type') == '1' or has('nick') or has('faceUrl')
end

-- Users who go alone, each a call of their own, must not slip past the back-pressure.
local function openRoom()
  if cut.room < 1 then
    return false
  end
  cut.room = cut.room - 1
  return true
end

local function placeAlone(user, packed)
  if not openRoom() then
    return false
  end
  local callId = newCallId()
  seal(callId, request.singleCommand, { packed }, 1, '')
  claimUsers({ user, callId })
  cut.here[user] = callId
  return true
end

local function placeInBatch(user, packed)
  if batch.events > 0 and batch.bytes + #packed > batch.maxBytes then
    return false
  end
  if batch.events == 0 and not openRoom() then
    return false
  end
  if not cut.here[user] then
    if batch.users >= batch.maxUsers then
      return false
    end
    batch.users = batch.users + 1
    if user ~= '' then
      openBatch()
      cut.here[user] = batch.callId
      cut.claims[#cut.claims + 1] = user
      cut.claims[#cut.claims + 1] = batch.callId
    end
  end
  batch.events = batch.events + 1
  batch.entries[batch.events] = packed
  batch.bytes = batch.bytes + #packed
  return true
end

-- Places one entry. `owner`: the call that its user was in before this cut, false for none. Answers false
-- when the batch is full, or no call may be opened for it: then the entry stays where it is.
local function place(fields, first, packed, user, owner)
  local here = cut.here[user]
  if (owner and owner ~= batch.callId) or (here and here ~= batch.callId) then
    parkEntry(user, packed)
    cut.parked = cut.parked + 1
    return true
  end
  if user ~= '' and not here and request.alone == 'profile-or-robot' and goesAlone(fields, first) then
    return placeAlone(user, packed)
  end
  return placeInBatch(user, packed)
end
