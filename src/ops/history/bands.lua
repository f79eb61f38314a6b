-- bands: since when the fleet is held, paused or throttled, and the last times when it was. Functions for
-- presence.lua. A worker signs at once when a hold or pause changes, so that short ones are seen, too.
--
-- open-bands: hash hold, pause, throttle: JSON {from, values}, while one lasts. bands: stream of those that
-- ended: kind, from, to, values (JSON).

local BANDS_KEPT = 200

-- What the fleet is stopped or slowed by now, by kind: from (ms as text) and values.
local function bandsNow()
  local now = {}
  local fleet = readFields(keys.hold, 'held', 'heldSince', 'paused', 'clearedAt')
  if fleet.held then
    now.hold = { from = fleet.heldSince or nowText, values = cjson.decode(fleet.held) }
  end
  if fleet.paused then
    local pause = cjson.decode(fleet.paused)
    now.pause = { from = text(pause.since), values = { by = pause.by, reason = pause.reason } }
  end
  local pace = readFields(keys.pace, 'cutSince', 'cutAt', 'cutBase')
  if pace.cutAt then
    local since = tonumber(pace.cutSince or pace.cutAt)
    now.throttle = { from = text(math.floor(since / 1000)), values = { command = request.command, lowestRate = tonumber(pace.cutBase) } }
  end
  return now, fleet.clearedAt
end

local function endBand(kind, band, endedAt)
  redis.call('HDEL', keys.openBands, kind)
  redis.call('XADD', keys.bands, 'MAXLEN', '~', BANDS_KEPT, '*', 'kind', kind, 'from', band.from,
    'to', endedAt, 'values', cjson.encode(band.values))
end

local function noteBands()
  local now, clearedAt = bandsNow()
  local open = readFields(keys.openBands, 'hold', 'pause', 'throttle')
  for _, kind in ipairs({ 'hold', 'pause', 'throttle' }) do
    local known, present = open[kind] and cjson.decode(open[kind]), now[kind]
    if known and not (present and present.from == known.from) then
      -- The hold itself says when it ended.
      local exact = kind == 'hold' and clearedAt and tonumber(clearedAt) >= tonumber(known.from)
      endBand(kind, known, exact and clearedAt or nowText)
      known = nil
    end
    if present and kind == 'throttle' and known then
      present.values.lowestRate = math.min(present.values.lowestRate, known.values.lowestRate)
    end
    local json = present and cjson.encode(present)
    if json and json ~= open[kind] then
      redis.call('HSET', keys.openBands, kind, json)
    end
  end
end
