-- forget: takes what is on its way for one user out of calls, parking and the intake.
--
-- A forgotten event ends as a dead letter that was deleted at once: books and status balance at any moment,
-- for the version before, too (docs/decisions/0060). `forgotten` counts them besides.
--
-- The list of returned entries is looked through from its tail, page by page: it grows and shrinks at its
-- head alone, so that no entry slips past. With the last page, in the same step, the rest is done: then
-- nothing of the user is in any of these places, whatever moved meanwhile.
--
-- A call that may be on the wire is left alone: a newer event of the user must not overtake it. From any
-- other the user's events are taken, and the record is taken from its run, and the others are called again.
--
-- Joined with: forget-parts.lua, ledger/record.lua.
-- Request  either eventIds, entries to take off the stream; the answer is how many were there
--          or userId
--          run         that owns what is left of the call
--          format      of the records
--          landingMs   how long a call may take effect
--          looked      entries of the tail that were looked at
--          pageSize    entries to look at
--          forgotten   the total `forgotten` when they were looked at (text)
--          dryRun      counts only
-- Answers how many were taken (returned, parked, inCalls), forgotten (the total), looked (entries of the
-- tail), and kind:
--   more     there are further pages
--   again    somebody else took entries out meanwhile: begin once more with the tail
--   done     nothing is left here
--   wire     the user's call may be on the wire for waitMs
--   foreign  the user's call was written by another version
-- Cost: O(entries of two pages + entries of the call), or of the stream's entries that were named.

nameKeys('books', 'owners', 'parkedPrefix', 'parkedCounts', 'callPrefix', 'open', 'openSince', 'isolated', 'returned',
  'deadPrefix', 'deadRedriving', 'tallyPrefix', 'stream')
readRequest()
writeNothing('HDEL', keys.books)
readClock()

local user, isDryRun, looked = request.userId, request.dryRun, request.looked

local took = { returned = 0, parked = 0, inCalls = 0 }
local function answer(kind, waitMs)
  took.kind, took.waitMs, took.looked = kind, waitMs or 0, looked
  took.forgotten = redis.call('HGET', keys.books, 'forgotten') or '0'
  return { map = took }
end
if (looked or 0) > 0 and (redis.call('HGET', keys.books, 'forgotten') or '0') ~= request.forgotten then
  looked = 0
  return answer('again')
end

if request.eventIds then
  local gone = {}
  for _, eventId in ipairs(request.eventIds) do
    local entry = redis.call('XRANGE', keys.stream, eventId, eventId)[1]
    if entry then
      redis.call('XDEL', keys.stream, eventId)
      table.insert(entry[2], 1, eventId)
      gone[#gone + 1] = entry[2]
    end
  end
  redis.call('HINCRBY', keys.books, 'taken', #gone)
  countEnds(gone)
  return #gone
end

-- Looks at a page of returned entries, from the tail. Answers the user's, and whether there are more pages.
local function takeReturnedPage()
  local length = redis.call('LLEN', keys.returned)
  local first, last = math.max(0, length - looked - request.pageSize), length - looked - 1
  local found = {}
  if last < 0 then
    return found, false
  end
  local entries = redis.call('LRANGE', keys.returned, first, last)
  for i = 1, #entries do
    local entry = cjson.decode(entries[i])
    if namedUser(entry, 2) == user then
      found[#found + 1] = entry
      if not isDryRun then
        redis.call('LSET', keys.returned, first + i - 1, '')
      end
    end
  end
  if #found > 0 and not isDryRun then
    redis.call('LREM', keys.returned, 0, '')
  end
  looked = looked + #entries - (isDryRun and 0 or #found)
  return found, first > 0
end

local returned, isMore = takeReturnedPage()
countEnds(returned)
took.returned = #returned
if isMore then
  return answer('more')
end
took.parked, isMore = takeParkedPage()
if isMore then
  return answer('more')
end

local callId = redis.call('HGET', keys.owners, user)
if not callId then
  return answer('done')
end
local record = readFields(keys.callPrefix .. callId, 'v', 'entries', 'sentAt', 'command', 'class', 'users', 'events',
  'attempts', 'suspects')
if tonumber(record.v) ~= request.format then
  return answer('foreign')
end
local own, others = splitEntries(record.entries)
local waitMs = onWireMs(record)
if waitMs > 0 then
  took.inCalls = isDryRun and #own or 0
  return answer('wire', waitMs)
end
if not isDryRun then
  takeOutOfCall(callId, record, own, others)
end
countEnds(own, record.class == 'redrive')
took.inCalls = #own
return answer('done')
