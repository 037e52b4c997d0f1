//! Whether a store keeps what leases rest on: of several writes on the same condition one wins, and an outdated one none. Many stores
//! answer as if they knew conditions. Asked on objects of the moment, which are removed again.

use object_store::{Error, PutPayload};
use tokio::task::JoinSet;

use super::bucket::{Bucket, Tag, is_conflict};
use super::envelope::{Content, Nonce, enveloped};
use super::error::{self, Lie, S3Error};

/// Below the leases, and no key.
pub(super) const FOLDER: &str = "leases/.probe";
const ROUNDS: usize = 3;
/// At the same time.
const WRITERS: usize = 8;

/// Well if nothing speaks against the store.
///
/// # Errors
/// What was seen, as [`S3Error::lie`] tells; others say nothing about it.
pub(super) async fn probe(bucket: &Bucket) -> Result<(), S3Error> {
    for _round in 0..ROUNDS {
        let [updated, created] = [(); 2].map(|()| format!("{FOLDER}/{}", Nonce::fresh()));
        let judged = judge(bucket, &updated, &created).await;
        for path in [updated, created] {
            if let Err(error) = bucket.remove(&path, None).await {
                tracing::debug!(%error, path, "an object of the probe was left");
            }
        }
        judged?;
    }
    bucket.now().map(|_shown| ())
}

async fn judge(bucket: &Bucket, updated: &str, created: &str) -> Result<(), S3Error> {
    write(bucket, updated, "created", None).await?;
    if write(bucket, updated, "created again", None).await? {
        return Err(bucket.lies(Lie::CreatedTwice));
    }
    let first = read(bucket, updated, |content| content == "created").await?;
    write(bucket, updated, "updated", Some(&first)).await?;
    if write(bucket, updated, "outdated", Some(&first)).await? {
        return Err(bucket.lies(Lie::UpdatedOutdated));
    }
    let second = read(bucket, updated, |content| content == "updated").await?;
    race(bucket, updated, Some(second)).await?;
    race(bucket, created, None).await
}

async fn race(bucket: &Bucket, path: &str, was: Option<Tag>) -> Result<(), S3Error> {
    let mut racing = JoinSet::new();
    for writer in 0..WRITERS {
        let (bucket, path, was) = (bucket.clone(), path.to_owned(), was.clone());
        racing.spawn(async move {
            let content = writer.to_string();
            let won = write(&bucket, &path, &content, was.as_ref()).await;
            won.map(|won| won.then_some(content))
        });
    }
    let mut winners = Vec::new();
    while let Some(ended) = racing.join_next().await {
        // One that panicked has won nothing.
        if let Ok(answer) = ended {
            winners.extend(answer?);
        }
    }
    if winners.len() > 1 {
        return Err(bucket.lies(Lie::ManyWinners(winners.len())));
    }
    // Without a winner, the answer to it was lost.
    let Some(winner) = winners.pop() else {
        return Ok(());
    };
    read(bucket, path, |content| content == winner).await?;
    Ok(())
}

/// Whether it was accepted.
async fn write(
    bucket: &Bucket,
    path: &str,
    content: &str,
    was: Option<&Tag>,
) -> Result<bool, S3Error> {
    let written = enveloped(&Nonce::fresh(), Some(content.as_bytes()));
    match bucket.put(path, PutPayload::from(written), was).await {
        Ok(_tag) => Ok(true),
        Err(error) if is_conflict(&error) => Ok(false),
        Err(error) if is_unable(&error) => Err(bucket.lies(Lie::Unable)),
        Err(error) => Err(bucket.failed(error)),
    }
}

async fn read(
    bucket: &Bucket,
    path: &str,
    expected: impl Fn(&str) -> bool,
) -> Result<Tag, S3Error> {
    match bucket.read(path).await? {
        Some(found) => match &found.content {
            Content::Here(bytes) if std::str::from_utf8(bytes).is_ok_and(expected) => Ok(found.tag),
            Content::Here(_) | Content::Gone | Content::Foreign | Content::TooLarge(_) => {
                Err(bucket.lies(Lie::ReadOtherwise))
            }
        },
        None => Err(bucket.lies(Lie::ReadOtherwise)),
    }
}

fn is_unable(error: &Error) -> bool {
    let text = error.to_string();
    error::status(&text) == Some(501) || error::code(&text) == Some("NotImplemented")
}
