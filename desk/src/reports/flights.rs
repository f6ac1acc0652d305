//! The same report, asked for by several people at once, is rendered once.

use crate::cache::Key;
use crate::error::Error;
use bytes::Bytes;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use tokio::sync::OnceCell;

/// Reports that are being rendered now.
#[derive(Default)]
pub struct Flights {
    under_way: Mutex<HashMap<Key, Weak<OnceCell<Bytes>>>>,
}

impl Flights {
    /// What `render` gives, or what somebody else's gives who began before and is not done. Where that one fails or is given up,
    /// the next one renders.
    ///
    /// # Errors
    /// What `render` says.
    pub async fn share<F>(&self, key: Key, render: impl FnOnce() -> F) -> Result<Bytes, Error>
    where
        F: Future<Output = Result<Bytes, Error>>,
    {
        let cell = {
            let mut under_way = self.under_way.lock().unwrap_or_else(PoisonError::into_inner);
            under_way.retain(|_, cell| cell.strong_count() > 0);
            match under_way.get(&key).and_then(Weak::upgrade) {
                Some(cell) => cell,
                None => {
                    let cell = Arc::new(OnceCell::new());
                    under_way.insert(key, Arc::downgrade(&cell));
                    cell
                }
            }
        };
        cell.get_or_try_init(render).await.cloned()
    }
}

impl std::fmt::Debug for Flights {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Flights").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cache::Kind;
    use std::sync::atomic::{AtomicU32, Ordering};
    use tokio::sync::Notify;

    #[tokio::test]
    async fn who_asks_while_it_is_rendered_gets_the_same_and_a_failure_is_nobody_elses() {
        let (flights, go, rendered) =
            (Arc::new(Flights::default()), Arc::new(Notify::new()), Arc::new(AtomicU32::new(0)));
        let key = Key::of(Kind::Report, &[b"one"]);
        let ask = |fails: bool| {
            let (flights, go, rendered) = (Arc::clone(&flights), Arc::clone(&go), Arc::clone(&rendered));
            tokio::spawn(async move {
                flights
                    .share(key, || async move {
                        let number = rendered.fetch_add(1, Ordering::SeqCst);
                        go.notified().await;
                        if fails {
                            Err(Error::Fault("no".to_owned()))
                        } else {
                            Ok(Bytes::from(vec![number as u8]))
                        }
                    })
                    .await
            })
        };
        let (first, second, third) = (ask(true), ask(false), ask(false));
        while rendered.load(Ordering::SeqCst) < 1 {
            tokio::task::yield_now().await;
        }
        go.notify_one();
        assert!(first.await.unwrap().is_err());
        while rendered.load(Ordering::SeqCst) < 2 {
            tokio::task::yield_now().await;
        }
        go.notify_one();
        assert_eq!(
            (second.await.unwrap().unwrap(), third.await.unwrap().unwrap()),
            (Bytes::from(vec![1]), Bytes::from(vec![1]))
        );
        assert_eq!(rendered.load(Ordering::SeqCst), 2);
    }
}
