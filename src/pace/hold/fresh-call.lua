-- fresh-call: a hold that no user in an open call can prove to be over, since all of them may be bad. Functions for
-- intake/cut.lua, which sends a fresh call ahead for each probe that may be one of many (slot/hold-gate.lua).

-- Whether the next probe may be a fresh call that has not been cut yet. `hold`: its fields.
local function wantsFreshCall(hold)
  local probes = tonumber(hold.probes or 0)
  local mayBeFresh
  if hold.kind == 'brake' then
    mayBeFresh = probes >= 3 and probes % 2 == 1
  else
    mayBeFresh = hold.proof == 'import' and (hold.kind == 'outage' or probes % 2 == 0)
  end
  return hold.held and mayBeFresh and hold.freshAt ~= hold.probes
end

-- The fresh call for this probe is cut: no other one is.
local function recordFreshCall(hold)
  redis.call('HSET', keys.hold, 'freshAt', hold.probes)
end
