-- raise-epoch: the epoch of a relay that begins. It is above all earlier ones, also where Redis has forgotten them
-- (it was replaced by an empty one): a relay that stood still meanwhile must not add what it holds.
--
-- Request  none
-- Answers the epoch. It grows with Redis's clock (us, so that no two begin at one time), and by one where that went back.

nameKeys('relay')
readRequest()
readClock()
local last = tonumber(readFields(keys.relay, 'epoch').epoch or 0)
local epoch = math.max(nowMicros, last + 1)
redis.call('HSET', keys.relay, 'epoch', text(epoch))
return epoch
