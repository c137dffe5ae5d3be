//! Two network namespaces and a cable between them.

use std::net::UdpSocket;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use crate::common::kernel::{run, with_network};

/// The far end of a cable whose near end is `near0`.
pub struct Far {
    orders: Sender<Box<dyn FnOnce() + Send>>,
}

const NEAR: &str = "10.99.0.1";
const FAR: &str = "10.99.0.2";

/// Does something in a network of its own, with a cable to another one.
pub fn with_wire<T: Send>(work: impl FnOnce(&Far) -> T + Send) -> T {
    with_network(|| {
        let (orders, received) = channel();
        let (tell, told) = channel();
        std::thread::scope(|scope| {
            // A thread of this network makes one of its own; both ends are made while neither has left.
            scope.spawn(move || far_end(&tell, &received));
            let thread = told.recv().unwrap();
            run("ip", &["link", "add", "near0", "type", "veth", "peer", "name", "far0"]);
            run("ip", &["link", "set", "far0", "netns", &thread]);
            run("ip", &["addr", "add", &format!("{NEAR}/24"), "dev", "near0"]);
            run("ip", &["link", "set", "near0", "up"]);
            let far = Far { orders };
            far.call(|| {
                run("ip", &["addr", "add", &format!("{FAR}/24"), "dev", "far0"]);
                run("ip", &["link", "set", "far0", "up"]);
            });
            let result = work(&far);
            drop(far);
            result
        })
    })
}

fn far_end(tell: &Sender<String>, orders: &Receiver<Box<dyn FnOnce() + Send>>) {
    #[expect(deprecated, reason = "unsafe only for FILES, which is not asked for")]
    rustix::thread::unshare(rustix::thread::UnshareFlags::NEWNET).unwrap();
    tell.send(rustix::thread::gettid().as_raw_nonzero().to_string()).unwrap();
    for order in orders {
        order();
    }
}

impl Far {
    /// Does something at the far end.
    pub fn call<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> T {
        let (sender, receiver) = channel();
        self.orders.send(Box::new(move || drop(sender.send(work())))).unwrap();
        receiver.recv().unwrap()
    }

    /// Sends packets from the far end to the near one; the port they go to.
    pub fn send(&self, times: u32) -> u16 {
        let receiver = socket(NEAR);
        let port = receiver.local_addr().unwrap().port();
        self.call(move || {
            let sender = socket(FAR);
            for _ in 0..times {
                sender.send_to(b"counted", (NEAR, port)).unwrap();
            }
        });
        take(&receiver, times);
        port
    }

    /// The same in the other direction.
    pub fn receive(&self, times: u32) -> u16 {
        let receiver = self.call(|| socket(FAR));
        let port = receiver.local_addr().unwrap().port();
        let sender = socket(NEAR);
        for _ in 0..times {
            sender.send_to(b"counted", (FAR, port)).unwrap();
        }
        take(&receiver, times);
        port
    }
}

fn socket(address: &str) -> UdpSocket {
    let socket = UdpSocket::bind((address, 0)).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    socket
}

fn take(receiver: &UdpSocket, times: u32) {
    for _ in 0..times {
        receiver.recv(&mut [0; 16]).unwrap();
    }
}
