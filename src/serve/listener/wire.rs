//! Writing to a client that may take its time: what is waited for is counted, bounded for each
//! answer, and told when it reaches a limit.

use std::io::{self, IoSlice};
use std::time::Duration;

use tokio::io::Interest;
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};

/// Why an answer did not go out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Interrupted {
    /// The client took too long.
    Slow,
    /// The client took its answer slowly while others waited.
    MadeRoom,
    /// The client is gone.
    Gone,
}

/// Is told which limit the time has reached that a client has been waited for.
pub type WaitWatch = Box<dyn Fn(Duration)>;

/// One connection, and how long its client may still be waited for.
pub struct Wire {
    pub stream: TcpStream,
    patience: Duration,
    /// How long the client has been waited for since it had taken everything.
    waited: Duration,
    /// Limits of that time, in ascending order.
    limits: &'static [Duration],
    watch: WaitWatch,
}

impl Wire {
    pub fn new(stream: TcpStream, limits: &'static [Duration], watch: WaitWatch) -> Self {
        Self {
            stream,
            patience: Duration::ZERO,
            waited: Duration::ZERO,
            limits,
            watch,
        }
    }

    /// For the next answer.
    pub fn has_patience(&mut self, patience: Duration) {
        self.patience = patience;
    }

    /// The client owes nothing: it has no further request under way.
    pub fn is_even(&mut self) {
        self.waited = Duration::ZERO;
    }

    pub fn waited(&self) -> Duration {
        self.waited
    }

    /// Writes all of the parts, in order.
    pub async fn put(&mut self, parts: &[&[u8]]) -> Result<(), Interrupted> {
        let mut slices: Vec<IoSlice> = parts.iter().map(|part| IoSlice::new(part)).collect();
        let mut left = slices.as_mut_slice();
        IoSlice::advance_slices(&mut left, 0);
        while !left.is_empty() {
            match self.stream.try_write_vectored(left) {
                Ok(0) => return Err(Interrupted::Gone),
                Ok(count) => IoSlice::advance_slices(&mut left, count),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.wait().await?,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => return Err(Interrupted::Gone),
            }
        }
        Ok(())
    }

    async fn wait(&mut self) -> Result<(), Interrupted> {
        loop {
            let limit = self.limits.iter().find(|limit| **limit > self.waited);
            let most = limit.map_or(self.patience, |limit| {
                self.patience.min(*limit - self.waited)
            });
            let began = Instant::now();
            let waited = timeout(most, self.stream.writable()).await;
            let took = began.elapsed();
            self.patience = self.patience.saturating_sub(took);
            self.waited += took;
            if let Some(limit) = limit.filter(|limit| **limit <= self.waited) {
                (self.watch)(*limit);
            }
            match waited {
                Ok(Ok(())) => return Ok(()),
                Ok(Err(_)) => return Err(Interrupted::Gone),
                Err(_) if self.patience.is_zero() => return Err(Interrupted::Slow),
                Err(_) => {}
            }
        }
    }

    /// Ends when the client has reset the connection; one that only has nothing more to ask still
    /// wants its answer.
    pub async fn reset(&self) {
        while self
            .stream
            .ready(Interest::ERROR)
            .await
            .is_ok_and(|ready| !ready.is_error())
        {}
    }

    /// Reads what is there, at most so much; 0 is the end.
    pub async fn read(&self, into: &mut Vec<u8>, most: usize) -> io::Result<usize> {
        loop {
            self.stream.readable().await?;
            let start = into.len();
            into.resize(start + most, 0);
            let read = self.stream.try_read(&mut into[start..]);
            into.truncate(start + *read.as_ref().unwrap_or(&0));
            match read {
                // A connection that waits with nothing in hand holds no memory for it.
                Err(error) if error.kind() == io::ErrorKind::WouldBlock && start == 0 => {
                    *into = Vec::new()
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                read => return read,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::rc::Rc;

    use tokio::net::TcpListener;

    use super::*;

    const LIMITS: &[Duration] = &[
        Duration::from_millis(20),
        Duration::from_millis(40),
        Duration::from_secs(60),
    ];

    #[tokio::test]
    async fn each_limit_of_the_wait_for_a_client_is_told_once_over_all_that_it_has_not_taken() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("bound");
        let address = listener.local_addr().expect("an address");
        let _silent = TcpStream::connect(address).await.expect("connected");
        let (stream, _) = listener.accept().await.expect("accepted");
        let told = Rc::new(RefCell::new(Vec::new()));
        let tells = told.clone();
        let watch = Box::new(move |limit| tells.borrow_mut().push(limit));
        let mut wire = Wire::new(stream, LIMITS, watch);
        let piece = vec![b'x'; 64 << 20];
        for _ in 0..2 {
            wire.has_patience(Duration::from_millis(30));
            assert_eq!(wire.put(&[&piece]).await, Err(Interrupted::Slow));
        }
        assert_eq!(*told.borrow(), LIMITS[..2]);
        assert!(wire.waited() >= Duration::from_millis(60));
        wire.is_even();
        assert_eq!(wire.waited(), Duration::ZERO);
    }
}
