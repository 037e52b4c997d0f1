//! What Redis does as one: Lua scripts, which nothing else comes between. All keys of a store share a hash tag, so that a cluster keeps
//! them on one node.

use std::sync::LazyLock;

use redis::Script;

/// What a script answers. In words, so that a log of Redis can be read.
pub(super) const DONE: &str = "done";
pub(super) const CONFLICT: &str = "conflict";
pub(super) const FENCED: &str = "fenced";
pub(super) const IS_FOLDER: &str = "folder";
pub(super) const UNREADABLE: &str = "unreadable";
pub(super) const IS_BELOW: &str = "below";

/// Names of which it is known when they changed; who has followed less is told of all that are there.
const CHANGES_MAX: usize = 10_000;

/// Keys: object, index, lease, record of changes, its head. Arguments: name, nonce of the lease or nothing, condition, version wanted,
/// channel, a word for the history that begins if there is none, version, content.
pub(super) static PUT: LazyLock<Script> = LazyLock::new(|| {
    Script::new(&format!(
        "{FOLDER}
         {JUDGE}
         local names_max = {CHANGES_MAX}
         {RECORD}
         if below(name) then return '{IS_BELOW}' end
         local refusal = refused()
         if refusal then return refusal end
         if folder(name) then return '{IS_FOLDER}' end
         redis.call('HSET', KEYS[1], 'version', ARGV[7], 'content', ARGV[8])
         redis.call('ZADD', KEYS[2], 0, name)
         record()
         return '{DONE}'"
    ))
});

/// Keys and the first six arguments as for [`PUT`].
pub(super) static DELETE: LazyLock<Script> = LazyLock::new(|| {
    Script::new(&format!(
        "{FOLDER}
         {JUDGE}
         local names_max = {CHANGES_MAX}
         {RECORD}
         local refusal = refused()
         if refusal then return refusal end
         if folder(name) then return '{UNREADABLE}' end
         redis.call('DEL', KEYS[1])
         redis.call('ZREM', KEYS[2], name)
         record()
         return '{DONE}'"
    ))
});

/// Keys: object, index. Argument: name. Answers the content, nothing, or that it is a folder.
pub(super) static GET: LazyLock<Script> = LazyLock::new(|| {
    Script::new(&format!(
        "{FOLDER}
         if folder(ARGV[1]) then return {{'{UNREADABLE}'}} end
         local found = redis.call('HMGET', KEYS[1], 'content', 'version')
         if not found[1] then return {{}} end
         return {{'{DONE}', found[1], found[2] or ''}}"
    ))
});

/// Keys: index, record of changes, its head. Arguments: the history and the place in it that are known, prefix. Answers the history, the
/// place, whether what was known is a part of it, the names written since or else all that are there, and those removed since.
pub(super) static CHANGED: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        "local history = redis.call('HGET', KEYS[3], 'history') or ''
         local place = tonumber(redis.call('HGET', KEYS[3], 'place') or 0)
         local floor = tonumber(redis.call('HGET', KEYS[3], 'floor') or 0)
         local since, prefix = tonumber(ARGV[2]), ARGV[3]
         local written, removed = {}, {}
         if history == ARGV[1] and since >= floor and since <= place then
           for _, name in ipairs(redis.call('ZRANGEBYSCORE', KEYS[2], '(' .. ARGV[2], '+inf')) do
             if string.sub(name, 1, #prefix) == prefix then
               local list = redis.call('ZSCORE', KEYS[1], name) and written or removed
               list[#list + 1] = name
             end
           end
           return {history, place, 1, written, removed}
         end
         local from, to = '-', '+'
         if prefix ~= '' then from, to = '[' .. prefix, '[' .. prefix .. '~' end
         written = redis.call('ZRANGEBYLEX', KEYS[1], from, to)
         return {history, place, 0, written, removed}",
    )
});

/// Keys: lease, fence. Arguments: nonce, time in milliseconds, the greatest fence this process knows. Answers the fence, or 0.
/// A store that was wiped, or lost its last writes, does not hand out a fence twice.
pub(super) static TAKE: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        "if not redis.call('SET', KEYS[1], ARGV[1], 'NX', 'PX', ARGV[2]) then return 0 end
         local fence = redis.call('INCR', KEYS[2])
         if fence <= tonumber(ARGV[3]) then
           fence = tonumber(ARGV[3]) + 1
           redis.call('SET', KEYS[2], fence)
         end
         return fence",
    )
});

/// Keys: lease. Arguments: nonce, time in milliseconds.
pub(super) static RENEW: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        "if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
         return redis.call('PEXPIRE', KEYS[1], ARGV[2])",
    )
});

/// Keys: lease. Argument: nonce.
pub(super) static GIVE_BACK: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        "if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
         return redis.call('DEL', KEYS[1])",
    )
});

/// Whether objects lie below a name; `0` comes right after `/`.
const FOLDER: &str = "
    local function folder(name)
      return #redis.call('ZRANGEBYLEX', KEYS[2], '[' .. name .. '/', '(' .. name .. '0', 'LIMIT', 0, 1) > 0
    end";

/// That a name was written or removed, at the end of a history which begins anew when Redis was emptied.
const RECORD: &str = "
    local function record()
      redis.call('HSETNX', KEYS[5], 'history', ARGV[6])
      local place = redis.call('HINCRBY', KEYS[5], 'place', 1)
      redis.call('ZADD', KEYS[4], place, ARGV[1])
      local over = redis.call('ZCARD', KEYS[4]) - names_max
      if over > 0 then
        local last = redis.call('ZRANGE', KEYS[4], over - 1, over - 1, 'WITHSCORES')
        redis.call('HSET', KEYS[5], 'floor', last[2])
        redis.call('ZREMRANGEBYRANK', KEYS[4], 0, over - 1)
      end
      redis.pcall('PUBLISH', ARGV[5], ARGV[1])
    end";

/// Whether a write may take effect.
const JUDGE: &str = "
    local name, nonce, when, wanted = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
    local function below(name)
      local at = string.find(name, '/', 1, true)
      while at do
        if redis.call('ZSCORE', KEYS[2], string.sub(name, 1, at - 1)) then return true end
        at = string.find(name, '/', at + 1, true)
      end
      return false
    end
    local function refused()
      if nonce ~= '' and redis.call('GET', KEYS[3]) ~= nonce then return 'fenced' end
      local version = redis.call('HGET', KEYS[1], 'version')
      if when == 'absent' and (version or folder(name)) then return 'conflict' end
      if when == 'is' and folder(name) then return 'unreadable' end
      if when == 'is' and version ~= wanted then return 'conflict' end
      return nil
    end";
