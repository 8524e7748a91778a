-- ARGV: id and work of each entry.
for i = 1, #ARGV, 2 do
  local id, work = ARGV[i], ARGV[i + 1]
  if settle(id, work) then
    redis.call('HDEL', bucket(work), work)
  end
end
promote(depth - untaken())
