-- turns: which class gets the slot. Functions for slot.lua; they need keys.pace, the clock and candidates.
--
-- Fields of pace:<command>: turn:<class> (number of its last slot), want:<class> (us: when a call of the
-- class last went on waiting).

-- A class that goes on waiting is remembered for a moment: a lower class elsewhere does not take its place.
local function want(class)
  redis.call('HSET', keys.pace, 'want:' .. class, nowMicrosText)
end

local function wantAllBut(index)
  for i = 1, #candidates do
    if i ~= index then
      want(candidates[i].class)
    end
  end
end

-- Strict classes, best first, but every waiting class gets one slot in ten. Answers the class, which may be
-- that of another process, and the index of the candidate of each class that may go.
local function chooseClass(number, spacing, pass)
  local turns = redis.call('HMGET', keys.pace,
    'turn:0', 'turn:1', 'turn:2', 'turn:3', 'want:0', 'want:1', 'want:2', 'want:3')
  local mine = {}
  for i = 1, #candidates do
    if not pass.isProbe or (candidates[i].call and not (failedLast(i) and othersWait())) then
      mine[candidates[i].class] = i
    end
  end
  local wantedFor = math.max(100000, 12 * spacing)
  local chosen, starved
  for class = 0, 3 do
    if mine[class] or isRecent(tonumber(turns[5 + class] or 0), nowMicros, wantedFor) then
      chosen = chosen or class
      if class ~= chosen and number - tonumber(turns[1 + class] or 0) >= 10 then
        starved = starved or class
      end
    end
  end
  return starved or chosen, mine
end

-- As a probe goes the best class that is here. Single users of a call that failed wait as split (class 2). In
-- an outage the classes take turns: a call that is told "too often" comes back in its class again and again.
local function chooseProbe(pass, mine)
  if pass.takesTurns and mine[2] and not pass.isTurnOfMany then
    return 2
  end
  local present = {}
  for class = 0, 3 do
    if mine[class] then
      present[#present + 1] = class
    end
  end
  local turn = pass.takesTurns and 0 or tonumber(hold.probes or 0)
  return present[turn % math.max(1, #present) + 1] or 3
end
