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

/// Keys: object, index, lease. Arguments: name, nonce of the lease or nothing, condition, version wanted, version, content, channel.
pub(super) static PUT: LazyLock<Script> = LazyLock::new(|| {
    Script::new(&format!(
        "{FOLDER}
         {JUDGE}
         if below(name) then return '{IS_BELOW}' end
         local refusal = refused()
         if refusal then return refusal end
         if folder(name) then return '{IS_FOLDER}' end
         redis.call('HSET', KEYS[1], 'version', ARGV[5], 'content', ARGV[6])
         redis.call('ZADD', KEYS[2], 0, name)
         redis.call('PUBLISH', ARGV[7], name)
         return '{DONE}'"
    ))
});

/// Keys and the first four arguments as for [`PUT`]; then the channel.
pub(super) static DELETE: LazyLock<Script> = LazyLock::new(|| {
    Script::new(&format!(
        "{FOLDER}
         {JUDGE}
         local refusal = refused()
         if refusal then return refusal end
         if folder(name) then return '{UNREADABLE}' end
         redis.call('DEL', KEYS[1])
         redis.call('ZREM', KEYS[2], name)
         redis.call('PUBLISH', ARGV[5], name)
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
