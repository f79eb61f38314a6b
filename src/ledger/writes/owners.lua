-- owners: which call a user is in. Functions for the scripts that make calls; they need keys.owners.

-- `claims`: user, callId, user, callId, ...
local function claimUsers(claims)
  if #claims > 0 then
    redis.call('HSET', keys.owners, unpack(claims))
  end
end
