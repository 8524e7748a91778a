-- ARGV: the consumer. What it was handed and has not acknowledged waits for its turn again, and it is forgotten.
untaken()
local own = redis.call('XPENDING', s, group, '-', '+', 10000, ARGV[1])
for i = #own, 1, -1 do
  local id = own[i][1]
  local entry = redis.call('XRANGE', s, id, id)[1]
  if entry then
    local work = entry[2][2]
    local info = settle(id, work)
    if info then
      enter(work, info, true)
    end
  end
end
redis.call('XGROUP', 'DELCONSUMER', s, group, ARGV[1])
promote(depth - untaken())
